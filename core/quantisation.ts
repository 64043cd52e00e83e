import type { StoredDType } from "./formats/checkpoint.ts";
import { decodeQ2K, decodeQ3K, decodeQ4K, decodeQ5K, decodeQ6K } from "./quantisation/k_blocks.ts";
import { decodeIq4Nl, decodeIq4Xs } from "./quantisation/iq4_blocks.ts";
import { decodeQ4_0, decodeQ4_1, decodeQ5_0, decodeQ5_1, decodeQ8_0 } from "./quantisation/plain_blocks.ts";
import { decodeBf16, decodeF16, decodeF32 } from "./quantisation/scalars.ts";

interface StoredFacts {
  /** Values per block; 1 for scalars. */
  readonly values: number;
  /** Bytes per block. */
  readonly bytes: number;
  readonly decode: (bytes: Uint8Array, out: Float32Array) => void;
}

const FACTS: Readonly<Record<StoredDType, StoredFacts>> = {
  f32: { values: 1, bytes: 4, decode: decodeF32 },
  f16: { values: 1, bytes: 2, decode: decodeF16 },
  bf16: { values: 1, bytes: 2, decode: decodeBf16 },
  q8_0: { values: 32, bytes: 34, decode: decodeQ8_0 },
  q4_0: { values: 32, bytes: 18, decode: decodeQ4_0 },
  q4_1: { values: 32, bytes: 20, decode: decodeQ4_1 },
  q5_0: { values: 32, bytes: 22, decode: decodeQ5_0 },
  q5_1: { values: 32, bytes: 24, decode: decodeQ5_1 },
  q2_k: { values: 256, bytes: 84, decode: decodeQ2K },
  q3_k: { values: 256, bytes: 110, decode: decodeQ3K },
  q4_k: { values: 256, bytes: 144, decode: decodeQ4K },
  q5_k: { values: 256, bytes: 176, decode: decodeQ5K },
  q6_k: { values: 256, bytes: 210, decode: decodeQ6K },
  iq4_nl: { values: 32, bytes: 18, decode: decodeIq4Nl },
  iq4_xs: { values: 256, bytes: 136, decode: decodeIq4Xs },
};

export const STORED_DTYPES: readonly StoredDType[] = Object.keys(FACTS) as StoredDType[];

/** Values and bytes of the smallest unit of a type. */
export function storedBlock(dtype: StoredDType): { readonly values: number; readonly bytes: number } {
  return FACTS[dtype];
}

/**
 * Bytes of `count` values of one row.
 *
 * @throws {RangeError} `count` is not a whole number of blocks
 */
export function storedBytes(dtype: StoredDType, count: number): number {
  const { values, bytes } = FACTS[dtype];
  if (count % values !== 0) {
    throw new RangeError(`Cannot store ${count} values as ${dtype}: its blocks hold ${values}`);
  }
  return (count / values) * bytes;
}

/**
 * Writes the values of whole rows, packed as in a file, to `out`. The arithmetic is f64, rounded once.
 *
 * @throws {RangeError} `bytes` does not hold exactly `out.length` values
 */
export function decodeRows(dtype: StoredDType, bytes: Uint8Array, out: Float32Array): void {
  const needed = storedBytes(dtype, out.length);
  if (bytes.length !== needed) {
    throw new RangeError(
      `Cannot decode ${out.length} values of ${dtype} from ${bytes.length} bytes: they need ${needed}`,
    );
  }
  FACTS[dtype].decode(bytes, out);
}
