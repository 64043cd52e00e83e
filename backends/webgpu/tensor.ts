import type { Place, Tensor, TensorSpec } from "../../core/backend.ts";
import { blockValues, bytesOf, type DType, isBlockDType } from "../../core/dtype.ts";
import { DsError } from "../../core/errors.ts";
import type { DeviceBuffer } from "./buffers.ts";

/**
 * A tensor in chunks, cut between entries of its first axis, or of its first two where it has three or more: no buffer is
 * larger than one binding may be.
 */
export interface Chunk {
  readonly buffer: DeviceBuffer;
  /** Entries before it. */
  readonly first: number;
  readonly entries: number;
}

export class WebGpuTensor implements Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly place: Place;
  readonly byteLength: number;
  readonly layout: HeldLayout;
  readonly chunks: readonly Chunk[];

  constructor(spec: TensorSpec, layout: HeldLayout, chunks: readonly Chunk[]) {
    this.dtype = spec.dtype;
    this.shape = [...spec.shape];
    this.place = spec.place ?? "device";
    const columns = spec.shape[spec.shape.length - 1]!;
    this.byteLength = (product(spec.shape) / columns) * bytesOf(spec.dtype, columns);
    this.layout = layout;
    this.chunks = chunks;
  }

  /** @throws {DsError} kind "out-of-memory" where it lies in several chunks */
  get buffer(): DeviceBuffer {
    if (this.chunks.length === 1) return this.chunks[0]!.buffer;
    throw new DsError(
      "out-of-memory",
      `Cannot use a ${this.dtype} tensor of [${
        this.shape.join(", ")
      }] in one piece: its ${this.byteLength} bytes pass what ` +
        "one binding of this GPU may hold; use a smaller --context",
    );
  }
}

/** The tensor as this backend made it. */
export function gpu(tensor: Tensor): WebGpuTensor {
  return tensor as WebGpuTensor;
}

/** How the rows of the last axis lie in buffers: each begins at a word of 32 bits. */
export interface HeldLayout {
  readonly rowWords: number;
  /** Rows per entry: what chunks are cut between. */
  readonly entryRows: number;
  readonly entries: number;
}

/** Words of a packed block: the bytes of its file, each block from a word on; q8_0 and q4_0 have 2 unused bytes after the scale. */
export function blockWords(dtype: DType): number {
  return Math.ceil(bytesOf(dtype, blockValues(dtype)) / 4);
}

export function heldLayout({ dtype, shape }: TensorSpec): HeldLayout {
  const columns = shape[shape.length - 1]!;
  const rowWords = isBlockDType(dtype)
    ? (columns / blockValues(dtype)) * blockWords(dtype)
    : Math.ceil(bytesOf(dtype, columns) / 4);
  const rows = product(shape) / columns;
  const entries = shape.length === 1 ? 1 : shape.length === 2 ? shape[0]! : shape[0]! * shape[1]!;
  return { rowWords, entryRows: rows / entries, entries };
}

export function heldBytes(spec: TensorSpec): number {
  const { rowWords, entryRows, entries } = heldLayout(spec);
  return 4 * rowWords * entryRows * entries;
}

export function product(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}
