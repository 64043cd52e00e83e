/** Element types of tensors that ops read and write. */
export type ScalarDType = "f32" | "f16" | "bf16" | "i32" | "u32" | "u8";

/**
 * Packed weight types, named and laid out as in GGUF: blocks along the input dimension, each with its own scale.
 * Only the weight of `linear`, `linearExperts` and `embed` may have one.
 */
export type BlockDType = "q8_0" | "q4_0" | "q4_1" | "q4_k" | "q6_k";

export type DType = ScalarDType | BlockDType;

interface DTypeFacts {
  /** Values per block; 1 for scalars. */
  readonly blockValues: number;
  /** Bytes per block. */
  readonly blockBytes: number;
}

const FACTS: Readonly<Record<DType, DTypeFacts>> = {
  f32: { blockValues: 1, blockBytes: 4 },
  f16: { blockValues: 1, blockBytes: 2 },
  bf16: { blockValues: 1, blockBytes: 2 },
  i32: { blockValues: 1, blockBytes: 4 },
  u32: { blockValues: 1, blockBytes: 4 },
  u8: { blockValues: 1, blockBytes: 1 },
  q8_0: { blockValues: 32, blockBytes: 34 },
  q4_0: { blockValues: 32, blockBytes: 18 },
  q4_1: { blockValues: 32, blockBytes: 20 },
  q4_k: { blockValues: 256, blockBytes: 144 },
  q6_k: { blockValues: 256, blockBytes: 210 },
};

export function isBlockDType(dtype: DType): dtype is BlockDType {
  return FACTS[dtype].blockValues > 1;
}

export function blockValues(dtype: DType): number {
  return FACTS[dtype].blockValues;
}

/**
 * Bytes of `count` values of one row.
 *
 * @throws {RangeError} `count` is not a whole number of blocks
 */
export function bytesOf(dtype: DType, count: number): number {
  const { blockValues, blockBytes } = FACTS[dtype];
  if (count % blockValues !== 0) {
    throw new RangeError(`Cannot pack ${count} values as ${dtype}: its blocks hold ${blockValues}`);
  }
  return (count / blockValues) * blockBytes;
}
