import type { Arena } from "./arena.ts";
import { rounded } from "./arena.ts";
import { FLOAT_ROWS, FLOAT_TILE_COLUMNS, FLOAT_TILE_ROWS, FLOAT_TILES, LAY_OUT_ROWS } from "./kernels/ops.ts";
import type { ExpertProduct } from "./linear_blocks.ts";
import type { Queue } from "./queue.ts";
import { type CpuTensor, product } from "./tensor.ts";
import { weightNumber } from "./weight_numbers.ts";

/** From so many rows on, weights unpacked once repay it. */
const TILED_ROWS = 4;

/** out[r, column + n] ← Σ_i x[r, i]·weight[n, i] (+ bias[n]); x [R, I], weight f32, f16 or bf16 [N, I]. */
export function linearFloats(
  queue: Queue,
  out: CpuTensor,
  x: CpuTensor,
  weight: CpuTensor,
  bias: CpuTensor | null,
  column: number,
): void {
  const { arena } = weight;
  const [, I] = weight.shape;
  const R = x.shape[0];
  const isTiled = R >= TILED_ROWS;
  const xBytes = laidOutBytes(R, I);
  const threadBytes = FLOAT_TILE_COLUMNS * 16 + R * FLOAT_TILE_ROWS * 16;
  const room = queue.scratch(arena, xBytes + (isTiled ? queue.threads * threadBytes : 0));
  const from = queue.read(x, arena);
  const weights = queue.read(weight, arena);
  const biases = bias === null ? 0 : queue.read(bias, arena);
  const to = queue.write(out, arena) + 4 * column;
  layOut(queue, arena, room, from, R, I, weight);
  queue.begin(isTiled ? FLOAT_TILES : FLOAT_ROWS, arena);
  common(queue, to, room, weights, biases, R, product(out.shape) / R, weight);
  queue.int(isTiled ? room + xBytes : 0);
  queue.int(isTiled ? threadBytes : 1);
}

/** out[p] ← weight[experts[p]]·x[p / perRow] for every pair p of a row and an expert; `room` of `laidOutBytes`. */
export function linearExpertFloats(
  queue: Queue,
  arena: Arena,
  weight: CpuTensor,
  weights: number,
  { out, x, experts, pairs, perRow, room }: ExpertProduct,
): void {
  const [, N, I] = weight.shape;
  layOut(queue, arena, room, x, pairs / perRow, I, weight);
  queue.begin(FLOAT_ROWS, arena);
  common(queue, out, room, weights, 0, pairs, N, weight);
  queue.int(experts);
  queue.int(perRow);
}

/** Bytes of x [R, I] as float weights meet it. */
export function laidOutBytes(R: number, I: number): number {
  return rounded(R * Math.ceil(I / 8) * 32);
}

function layOut(
  queue: Queue,
  arena: Arena,
  to: number,
  x: number,
  R: number,
  I: number,
  weight: CpuTensor,
): void {
  queue.begin(LAY_OUT_ROWS, arena);
  queue.int(to);
  queue.int(x);
  queue.int(R);
  queue.int(I);
  queue.int(weightNumber(weight.dtype));
}

/** The arguments that both kernels begin with. */
function common(
  queue: Queue,
  out: number,
  x: number,
  weights: number,
  biases: number,
  R: number,
  columns: number,
  weight: CpuTensor,
): void {
  const { length } = weight.shape;
  queue.int(out);
  queue.int(x);
  queue.int(weights);
  queue.int(biases);
  queue.int(R);
  queue.int(weight.shape[length - 2]);
  queue.int(weight.shape[length - 1]);
  queue.int(columns);
  queue.int(weightNumber(weight.dtype));
}
