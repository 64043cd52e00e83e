import type { FileSource } from "../files.ts";
import { storedBytes } from "../quantisation.ts";
import type { CheckpointTensor, StoredDType } from "./checkpoint.ts";

/** Where a tensor lies in its file, already checked to be inside it. */
export interface TensorPlace {
  /** As the file calls it. */
  readonly name: string;
  readonly dtype: StoredDType;
  /** [rows, columns] or [columns]; a row is a whole number of blocks. */
  readonly shape: readonly number[];
  readonly file: FileSource;
  /** Byte offset in the file. */
  readonly offset: number;
}

export interface StoredTensor extends CheckpointTensor {
  readonly byteLength: number;
  /** Bytes in the file's own order. */
  readStored(
    offset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * @param interleavedHeadDim the head dimension d where the file pairs rotary channels (2c, 2c + 1) and rows must come
 * as (c, c + d/2); null where rows are as wanted. For a vector (a bias) its elements are permuted, which needs a scalar
 * type.
 */
export function storedTensor(place: TensorPlace, interleavedHeadDim: number | null): StoredTensor {
  const { name, dtype, shape, file, offset } = place;
  const isVector = shape.length === 1;
  const columns = shape[shape.length - 1];
  const rows = isVector ? 1 : shape[0];
  const rowBytes = storedBytes(dtype, columns);
  const byteLength = rows * rowBytes;
  const unit = isVector ? storedBytes(dtype, 1) : rowBytes;

  const readStored: StoredTensor["readStored"] = (at, length, into) => file.read(offset + at, length, into);
  async function readRows(
    first: number,
    count: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array> {
    const inside = Number.isSafeInteger(first) && Number.isSafeInteger(count) &&
      first >= 0 && count >= 0 && first + count <= rows;
    if (!inside) {
      throw new RangeError(`Cannot read ${count} rows from row ${first} of ${name}: it has ${rows}`);
    }
    if (interleavedHeadDim === null) return await readStored(first * rowBytes, count * rowBytes, into);
    return isVector
      ? await readHalfSplit(readStored, unit, interleavedHeadDim, 0, count * columns, into)
      : await readHalfSplit(readStored, unit, interleavedHeadDim, first, count, into);
  }
  return { name, dtype, shape, byteLength, readRows, readStored };
}

/** `count` units from `first` of the half-split order, gathered one head of the stored order at a time. */
async function readHalfSplit(
  readStored: StoredTensor["readStored"],
  unitBytes: number,
  headDim: number,
  first: number,
  count: number,
  into: Uint8Array<ArrayBuffer> | undefined,
): Promise<Uint8Array> {
  const bytes = count * unitBytes;
  const result = into !== undefined && into.length >= bytes ? into.subarray(0, bytes) : new Uint8Array(bytes);
  const stored = new Uint8Array(headDim * unitBytes);
  const half = headDim / 2;
  for (let unit = first; unit < first + count;) {
    const start = unit - (unit % headDim);
    const end = Math.min(start + headDim, first + count);
    const head = await readStored(start * unitBytes, headDim * unitBytes, stored);
    for (; unit < end; unit++) {
      const c = unit - start;
      const from = (c < half ? 2 * c : 2 * (c - half) + 1) * unitBytes;
      result.set(head.subarray(from, from + unitBytes), (unit - first) * unitBytes);
    }
  }
  return result;
}
