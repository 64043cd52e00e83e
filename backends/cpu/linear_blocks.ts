import type { Arena } from "./arena.ts";
import type { BlockVariants } from "./block_variants.ts";
import { DOT_PLAIN, MULTIPLY_MATRIX, MULTIPLY_VECTOR, TOKENS, TOKENS_SCRATCH } from "./kernels/ops.ts";
import { matrixBytes } from "./pack_blocks.ts";
import { type Quantised, quantisedBytes, quantiseRows } from "./quantised.ts";
import type { Queue } from "./queue.ts";
import { type CpuTensor, product } from "./tensor.ts";
import { weightNumber } from "./weight_numbers.ts";

/** From so many rows on, streaming the activations past weights in registers is the faster way. */
const LEAST_MATRIX_ROWS = 4;

/** Weights that a thread takes at once: few enough to share well, enough to stream. */
const UNIT_BYTES = 16384;

/** out[r, column + n] ← Σ_i x[r, i]·weight[n, i] (+ bias[n]), x rounded to 8 bits in blocks of 32. */
export function linearBlocks(
  queue: Queue,
  variants: BlockVariants,
  out: CpuTensor,
  x: CpuTensor,
  weight: CpuTensor,
  bias: CpuTensor | null,
  column: number,
): void {
  const { arena } = weight;
  const R = x.shape[0];
  const [N, I] = weight.shape;
  const from = queue.read(x, arena);
  const tiles = queue.read(weight, arena);
  const added = bias === null ? 0 : queue.read(bias, arena);
  const to = queue.write(out, arena) + 4 * column;
  const isMatrix = R >= LEAST_MATRIX_ROWS;
  const quantised = quantisedBytes(R, I);
  const room = isMatrix ? queue.threads * TOKENS_SCRATCH : 0;
  const at = queue.scratch(arena, quantised + room);
  const { vector, matrix } = variants;
  const dot = weight.dtype === "q8_0" ? DOT_PLAIN : isMatrix ? matrix : vector;
  const codes = quantiseRows(queue, arena, from, R, I, at, { byBlock: isMatrix, wide: dot === DOT_PLAIN });
  const outPitch = (4 * product(out.shape)) / R;
  queue.begin(isMatrix ? MULTIPLY_MATRIX : MULTIPLY_VECTOR, arena);
  const columnsOfX = isMatrix ? Math.ceil(R / TOKENS) : 1;
  common(queue, { to, outPitch, tiles, weight, dot, R, N, I, columnsOfX, added, codes });
  if (isMatrix) {
    queue.int(at + quantised);
  } else {
    queue.int(0);
    queue.int(1);
    queue.int(0);
  }
}

/** x of `linearExpertBlocks`. */
export interface ExpertProduct {
  /** Address of f32 [R, chosen, N], rows of N. */
  readonly out: number;
  /** Address of f32 [R, I], or [R·chosen, I] with perRow 1. */
  readonly x: number;
  /** Address of i32 [R·chosen]. */
  readonly experts: number;
  /** Rows of `experts`. */
  readonly pairs: number;
  /** Rows of `out` for each row of x. */
  readonly perRow: number;
  /** Address of `quantisedBytes(pairs / perRow, I)` bytes. */
  readonly room: number;
}

/** out[p] ← weight[experts[p]]·x[p / perRow] for every pair p of a row and an expert; weight [E, N, I]. */
export function linearExpertBlocks(
  queue: Queue,
  { vector }: BlockVariants,
  arena: Arena,
  weight: CpuTensor,
  tiles: number,
  { out, x, experts, pairs, perRow, room }: ExpertProduct,
): void {
  const [, N, I] = weight.shape;
  const dot = weight.dtype === "q8_0" ? DOT_PLAIN : vector;
  const codes = quantiseRows(queue, arena, x, pairs / perRow, I, room, { wide: dot === DOT_PLAIN });
  queue.begin(MULTIPLY_VECTOR, arena);
  common(queue, {
    to: out,
    outPitch: 4 * N,
    tiles,
    weight,
    dot,
    R: pairs,
    N,
    I,
    columnsOfX: pairs,
    added: 0,
    codes,
  });
  queue.int(experts);
  queue.int(perRow);
  queue.int(matrixBytes(weight.dtype, N, I));
}

/** The arguments that both kernels begin with. */
function common(
  queue: Queue,
  { to, outPitch, tiles, weight, dot, R, N, I, columnsOfX, added, codes }: {
    readonly to: number;
    readonly outPitch: number;
    readonly tiles: number;
    readonly weight: CpuTensor;
    readonly dot: number;
    readonly R: number;
    readonly N: number;
    readonly I: number;
    /** How often the weights are gone through. */
    readonly columnsOfX: number;
    readonly added: number;
    readonly codes: Quantised;
  },
): void {
  queue.int(to);
  queue.int(outPitch);
  queue.int(tiles);
  queue.int(weightNumber(weight.dtype));
  queue.int(dot);
  queue.int(R);
  queue.int(N);
  queue.int(I / 32);
  queue.int(runOf(matrixBytes(weight.dtype, N, I), N, columnsOfX, queue.threads));
  queue.int(added);
  queue.int(dot === DOT_PLAIN ? codes.codes16 : codes.codes);
  queue.int(codes.scale);
  queue.int(weight.dtype === "q4_1" ? codes.scaledSum : codes.centre);
}

/** Rows of tiles that a thread takes at once, so that every thread has as many of such units as the next. */
function runOf(bytes: number, N: number, times: number, threads: number): number {
  const units = Math.max(1, Math.round((bytes * times) / (threads * UNIT_BYTES))) * threads;
  return Math.max(1, Math.ceil((Math.ceil(N / 8) * times) / units));
}
