import { bytesOf, type DType } from "../../core/dtype.ts";
import { PACK_BLOCKS, TILE_Q4_0, TILE_Q4_1, TILE_Q8_0 } from "./kernels/ops.ts";
import type { Queue } from "./queue.ts";
import { type CpuTensor, product } from "./tensor.ts";
import { weightNumber } from "./weight_numbers.ts";

/** Bytes of a file that one command packs: what lies between stays in a core's cache. */
const PIECE_BYTES = 2 ** 20;

/** Bytes of a tile of 8 rows and 32 columns (`kernels/tiles.ts`). */
function tileBytes(dtype: DType): number {
  if (dtype === "q4_0") return TILE_Q4_0;
  return dtype === "q4_1" ? TILE_Q4_1 : TILE_Q8_0;
}

/** Bytes of one [N, I] matrix of `dtype` as it is held. */
export function matrixBytes(dtype: DType, N: number, I: number): number {
  return Math.ceil(N / 8) * (I / 32) * tileBytes(dtype);
}

/** Bytes of a tensor [.., N, I]: each of its matrices has whole tiles. */
export function blockTensorBytes(dtype: DType, shape: readonly number[]): number {
  const [N, I] = matrixShape(shape);
  return (product(shape) / (N * I)) * matrixBytes(dtype, N, I);
}

/** Packs whole rows, as a GGUF file has them, `byteOffset` bytes into it. */
export function packBlockRows(queue: Queue, tensor: CpuTensor, data: Uint8Array, byteOffset: number): void {
  const { arena, address: to } = tensor.current;
  const [N, I] = matrixShape(tensor.shape);
  const rowBytes = bytesOf(tensor.dtype, I);
  const rows = data.byteLength / rowBytes;
  // What is queued may yet use the scratch.
  queue.flush();
  const perPiece = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
  for (let row = 0; row < rows; row += perPiece) {
    const count = Math.min(perPiece, rows - row);
    const from = queue.scratch(arena, count * rowBytes);
    arena.bytes.set(data.subarray(row * rowBytes, (row + count) * rowBytes), from);
    queue.begin(PACK_BLOCKS, arena);
    queue.int(to);
    queue.int(from);
    queue.int(weightNumber(tensor.dtype));
    queue.int(byteOffset / rowBytes + row);
    queue.int(count);
    queue.int(N);
    queue.int(I / 32);
    queue.flush();
  }
}

function matrixShape(shape: readonly number[]): readonly [number, number] {
  const { length } = shape;
  return [length === 1 ? 1 : shape[length - 2], shape[length - 1]];
}
