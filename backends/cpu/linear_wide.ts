import { type Arena, rounded } from "./arena.ts";
import { DOT_PLAIN, WIDE_ROWS, WIDE_TILES } from "./kernels/ops.ts";
import type { ExpertProduct } from "./linear_blocks.ts";
import { type Quantised, quantisedBytes, quantiseRows } from "./quantised.ts";
import type { Queue } from "./queue.ts";
import { type CpuTensor, product } from "./tensor.ts";
import { weightNumber } from "./weight_numbers.ts";
import type { WideVariants } from "./wide_variants.ts";

/** From so many rows on, weights unpacked once repay it. */
const TILED_ROWS = 4;

/** Bytes of the sums of a row of x that a thread keeps while all rows pass. */
const SUMS_BYTES = 32;

/** out[r, column + n] ← Σ_i x[r, i]·weight[n, i] (+ bias[n]); x [R, I] rounded to 8 bits, weight q4_k or q6_k [N, I]. */
export function linearWide(
  queue: Queue,
  variants: WideVariants,
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
  const dot = isTiled ? variants.tiles : variants.rows;
  const xBytes = rounded(quantisedBytes(R, I));
  const room = queue.scratch(arena, xBytes + (isTiled ? queue.threads * R * SUMS_BYTES : 0));
  const from = queue.read(x, arena);
  const weights = queue.read(weight, arena);
  const biases = bias === null ? 0 : queue.read(bias, arena);
  const to = queue.write(out, arena) + 4 * column;
  const blocks = quantiseRows(queue, arena, from, R, I, room, { byBlock: isTiled, wide: dot === DOT_PLAIN });
  queue.begin(isTiled ? WIDE_TILES : WIDE_ROWS, arena);
  common(queue, to, weights, biases, R, product(out.shape) / R, weight, dot, blocks);
  queue.int(isTiled ? room + xBytes : 0);
  queue.int(1);
}

/** out[p] ← weight[experts[p]]·x[p / perRow] for every pair p of a row and an expert; weight [E, N, I]. */
export function linearExpertWide(
  queue: Queue,
  { rows }: WideVariants,
  arena: Arena,
  weight: CpuTensor,
  weights: number,
  { out, x, experts, pairs, perRow, room }: ExpertProduct,
): void {
  const [, N, I] = weight.shape;
  const blocks = quantiseRows(queue, arena, x, pairs / perRow, I, room, { wide: rows === DOT_PLAIN });
  queue.begin(WIDE_ROWS, arena);
  common(queue, out, weights, 0, pairs, N, weight, rows, blocks);
  queue.int(experts);
  queue.int(perRow);
}

/** The arguments that both kernels begin with. */
function common(
  queue: Queue,
  out: number,
  weights: number,
  biases: number,
  R: number,
  columns: number,
  weight: CpuTensor,
  dot: number,
  { codes, codes16, scale, scaledSum, sums16 }: Quantised,
): void {
  const { length } = weight.shape;
  queue.int(out);
  queue.int(weights);
  queue.int(biases);
  queue.int(R);
  queue.int(weight.shape[length - 2]);
  queue.int(weight.shape[length - 1]);
  queue.int(columns);
  queue.int(weightNumber(weight.dtype));
  queue.int(dot);
  queue.int(dot === DOT_PLAIN ? codes16 : codes);
  queue.int(scale);
  queue.int(scaledSum);
  queue.int(sums16);
}
