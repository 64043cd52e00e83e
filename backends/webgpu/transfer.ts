import type { TensorSpec } from "../../core/backend.ts";
import { blockValues, bytesOf, type DType, isBlockDType } from "../../core/dtype.ts";
import type { DeviceBuffer } from "./buffers.ts";
import type { Queue } from "./queue.ts";
import { blockWords, type Chunk, heldLayout, WebGpuTensor } from "./tensor.ts";

/** @throws {DsError} kind "out-of-memory" */
export function allocTensor(queue: Queue, spec: TensorSpec, mostBytes: number): WebGpuTensor {
  const layout = heldLayout(spec);
  const entryBytes = 4 * layout.rowWords * layout.entryRows;
  const perChunk = Math.max(1, Math.floor(mostBytes / entryBytes));
  const what = `a ${spec.dtype} tensor of [${spec.shape.join(", ")}]`;
  const chunks: Chunk[] = [];
  try {
    for (let first = 0; first < layout.entries; first += perChunk) {
      const entries = Math.min(perChunk, layout.entries - first);
      const { buffer, isNew } = queue.buffers.take(entries * entryBytes, what);
      chunks.push({ buffer, first, entries });
      if (!isNew) queue.clear(buffer);
    }
  } catch (error) {
    for (const { buffer } of chunks) queue.release(buffer);
    throw error;
  }
  return new WebGpuTensor(spec, layout, chunks);
}

/** Writes whole rows, in their dtype, at `byteOffset` of the tensor as the caller counts it. */
export function writeTensor(queue: Queue, tensor: WebGpuTensor, data: Uint8Array, byteOffset: number): void {
  const rowBytes = rowBytesOf(tensor);
  const heldRowBytes = 4 * tensor.layout.rowWords;
  const isPlain = rowBytes === heldRowBytes;
  for (
    const { buffer, at, from, rows } of pieces(tensor, byteOffset / rowBytes, data.byteLength / rowBytes)
  ) {
    const part = data.subarray(from * rowBytes, (from + rows) * rowBytes);
    queue.write(buffer, at * heldRowBytes, isPlain ? part : padded(tensor, part, rows));
  }
}

/** Whole rows of a tensor of a scalar type. */
export async function readTensor(
  queue: Queue,
  tensor: WebGpuTensor,
  byteOffset: number,
  byteLength: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const rowBytes = rowBytesOf(tensor);
  const heldRowBytes = 4 * tensor.layout.rowWords;
  const held = await queue.read(
    pieces(tensor, byteOffset / rowBytes, byteLength / rowBytes).map(({ buffer, at, rows }) => ({
      buffer,
      at: at * heldRowBytes,
      bytes: rows * heldRowBytes,
    })),
  );
  if (rowBytes === heldRowBytes) return held;
  const bytes = new Uint8Array(byteLength);
  for (let row = 0; row * rowBytes < byteLength; row++) {
    bytes.set(held.subarray(row * heldRowBytes, row * heldRowBytes + rowBytes), row * rowBytes);
  }
  return bytes;
}

interface Piece {
  readonly buffer: DeviceBuffer;
  /** First row within the buffer, and among the rows asked for. */
  readonly at: number;
  readonly from: number;
  readonly rows: number;
}

function pieces({ chunks, layout: { entryRows } }: WebGpuTensor, first: number, count: number): Piece[] {
  const found: Piece[] = [];
  for (const chunk of chunks) {
    const start = Math.max(first, chunk.first * entryRows);
    const end = Math.min(first + count, (chunk.first + chunk.entries) * entryRows);
    if (start >= end) continue;
    const at = start - chunk.first * entryRows;
    found.push({ buffer: chunk.buffer, at, from: start - first, rows: end - start });
  }
  return found;
}

function rowBytesOf({ dtype, shape }: WebGpuTensor): number {
  return bytesOf(dtype, shape[shape.length - 1]!);
}

/** Rows with what `heldLayout` leaves unused between them, or between a block's scale and its codes. */
function padded({ dtype, layout }: WebGpuTensor, data: Uint8Array, rows: number): Uint8Array {
  const held = new Uint8Array(rows * layout.rowWords * 4);
  if (!isBlockDType(dtype)) {
    const rowBytes = data.byteLength / rows;
    for (let row = 0; row < rows; row++) {
      held.set(data.subarray(row * rowBytes, (row + 1) * rowBytes), row * layout.rowWords * 4);
    }
    return held;
  }
  const bytes = bytesOf(dtype, blockValues(dtype));
  const heldBytes = 4 * blockWords(dtype);
  const codesAt = firstCode(dtype);
  for (let block = 0; block * bytes < data.byteLength; block++) {
    const from = block * bytes;
    const to = block * heldBytes;
    held.set(data.subarray(from, from + codesAt), to);
    held.set(data.subarray(from + codesAt, from + bytes), to + 4 * Math.ceil(codesAt / 4));
  }
  return held;
}

/** Bytes of a block before the unused ones: its scale where that is a lone half, all of it for q6_k. */
function firstCode(dtype: DType): number {
  return dtype === "q8_0" || dtype === "q4_0" ? 2 : bytesOf(dtype, blockValues(dtype));
}
