import { bytesOf } from "../../core/dtype.ts";
import { PACK_WIDE, Q4_K_TILE_BYTES, Q6_K_TILE_BYTES, WIDE_TILE_ROWS } from "./kernels/ops.ts";
import type { Queue } from "./queue.ts";
import { type CpuTensor, product } from "./tensor.ts";
import { weightNumber } from "./weight_numbers.ts";

/** Types in blocks of 256 values. */
export type WideDType = "q4_k" | "q6_k";

/** Bytes of a file's rows that are packed in one go, about. */
const PIECE_BYTES = 2 ** 20;

/**
 * Bytes of a packed tensor as it is held: tiles of 8 rows by 256 columns, each of its matrices
 * [.., N, I] filled up with zeros to whole tiles.
 */
export function wideBytes(dtype: WideDType, shape: readonly number[]): number {
  const [N, I] = matrixShape(shape);
  const tiles = (product(shape) / (N * I)) * Math.ceil(N / WIDE_TILE_ROWS) * (I / 256);
  return tiles * (dtype === "q4_k" ? Q4_K_TILE_BYTES : Q6_K_TILE_BYTES);
}

/** Writes whole rows as in a file, `byteOffset` counted as in a file too. Runs what is queued first. */
export function packWideRows(queue: Queue, tensor: CpuTensor, data: Uint8Array, byteOffset: number): void {
  const dtype = tensor.dtype as WideDType;
  const [N, I] = matrixShape(tensor.shape);
  const rowBytes = bytesOf(dtype, I);
  const { arena, address } = tensor.current;
  const perPiece = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
  const rows = data.length / rowBytes;
  const first = byteOffset / rowBytes;
  // What is queued may use the same scratch.
  queue.flush();
  const from = queue.scratch(arena, Math.min(perPiece, rows) * rowBytes);
  for (let row = 0; row < rows; row += perPiece) {
    const count = Math.min(perPiece, rows - row);
    arena.bytes.set(data.subarray(row * rowBytes, (row + count) * rowBytes), from);
    queue.begin(PACK_WIDE, arena);
    queue.int(address);
    queue.int(from);
    queue.int(first + row);
    queue.int(count);
    queue.int(N);
    queue.int(I);
    queue.int(weightNumber(dtype));
    queue.flush();
  }
  for (const copy of tensor.copies) copy.isCurrent = copy.arena === arena;
}

function matrixShape(shape: readonly number[]): readonly [number, number] {
  const { length } = shape;
  return [length === 1 ? 1 : shape[length - 2], shape[length - 1]];
}
