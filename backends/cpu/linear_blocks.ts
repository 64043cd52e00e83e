import { type Arena, rounded } from "./arena.ts";
import type { BlockVariants } from "./block_variants.ts";
import { DOT_PLAIN, MULTIPLY_MATRIX, MULTIPLY_VECTOR, TOKENS, TOKENS_SCRATCH } from "./kernels/ops.ts";
import { matrixBytes } from "./pack_blocks.ts";
import { quantisedBytes, quantiseRows } from "./quantised.ts";
import type { Queue } from "./queue.ts";
import {
  type MatrixEntries,
  matrixEntryBytes,
  quantiseMatrix,
  quantiseVector,
  type VectorEntries,
  vectorEntryBytes,
} from "./residuals.ts";
import { type CpuTensor, product } from "./tensor.ts";
import { weightNumber } from "./weight_numbers.ts";

/** From so many rows on, streaming the activations past weights in registers is the faster way. */
const LEAST_MATRIX_ROWS = 4;

/** Weights that a thread takes at once: few enough to share well, enough to stream. */
const UNIT_BYTES = 16384;

/**
 * out[r, column + n] ← Σ_i x[r, i]·weight[n, i] (+ bias[n]), x rounded in blocks of 32: to 16 bits where products of i16 are used, as
 * for 8-bit weights, else to 8 bits and what that leaves of outlying blocks to 8 more.
 */
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
  const dot = dotOf(variants, weight, isMatrix);
  const outPitch = (4 * product(out.shape)) / R;
  if (!isMatrix) {
    const at = queue.scratch(arena, vectorRoom(queue, R, I));
    const activations = vectorActivations(queue, arena, dot, from, R, I, at);
    queue.begin(MULTIPLY_VECTOR, arena);
    common(queue, { to, outPitch, tiles, weight, dot, R, N, I, columnsOfX: 1, added, activations });
    for (const value of [0, 1, 0, activations.order, activations.counts]) queue.int(value);
    return;
  }
  const room = rounded(dot === DOT_PLAIN ? quantisedBytes(R, I) : matrixEntryBytes(R, I, queue.threads));
  const at = queue.scratch(arena, room + queue.threads * TOKENS_SCRATCH);
  const activations = matrixActivations(queue, arena, dot, from, R, I, at);
  queue.begin(MULTIPLY_MATRIX, arena);
  common(queue, {
    to,
    outPitch,
    tiles,
    weight,
    dot,
    R,
    N,
    I,
    columnsOfX: Math.ceil(R / TOKENS),
    added,
    activations,
  });
  queue.int(at + room);
  const { residuals } = activations;
  if (residuals === null) {
    for (let i = 0; i < 5; i++) queue.int(0);
  } else {
    for (const value of [residuals.counts, residuals.tokens, residuals.codes, residuals.scale]) {
      queue.int(value);
    }
    queue.int(extraOf(weight, residuals));
  }
}

function dotOf({ vector, matrix }: BlockVariants, weight: CpuTensor, isMatrix: boolean): number {
  return weight.dtype === "q8_0" ? DOT_PLAIN : isMatrix ? matrix : vector;
}

/** Bytes of scratch for the activations of `linearExpertBlocks` and of few rows, whatever the dot. */
export function vectorRoom(queue: Queue, R: number, I: number): number {
  return rounded(Math.max(quantisedBytes(R, I), vectorEntryBytes(R, I, queue.threads)));
}

type Activations = Pick<VectorEntries, "codes" | "scale" | "scaledSum" | "centre">;

function vectorActivations(
  queue: Queue,
  arena: Arena,
  dot: number,
  x: number,
  R: number,
  I: number,
  at: number,
): VectorEntries {
  if (dot !== DOT_PLAIN) return quantiseVector(queue, arena, x, R, I, at);
  const { codes16, ...rest } = quantiseRows(queue, arena, x, R, I, at, { fine: true });
  return { ...rest, codes: codes16, order: 0, counts: 0 };
}

function matrixActivations(
  queue: Queue,
  arena: Arena,
  dot: number,
  x: number,
  R: number,
  I: number,
  at: number,
): Activations & { readonly residuals: MatrixEntries["residuals"] | null } {
  if (dot !== DOT_PLAIN) return quantiseMatrix(queue, arena, x, R, I, at);
  const { codes16, ...rest } = quantiseRows(queue, arena, x, R, I, at, { fine: true, byBlock: true });
  return { ...rest, codes: codes16, residuals: null };
}

function extraOf(
  weight: CpuTensor,
  { scaledSum, centre }: Pick<Activations, "scaledSum" | "centre">,
): number {
  return weight.dtype === "q4_1" ? scaledSum : centre;
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
  /** Address of scratch for x: `vectorRoom` bytes for blocks of 32 values. */
  readonly room: number;
}

/** out[p] ← weight[experts[p]]·x[p / perRow] for every pair p of a row and an expert; weight [E, N, I]. */
export function linearExpertBlocks(
  queue: Queue,
  variants: BlockVariants,
  arena: Arena,
  weight: CpuTensor,
  tiles: number,
  { out, x, experts, pairs, perRow, room }: ExpertProduct,
): void {
  const [, N, I] = weight.shape;
  const dot = dotOf(variants, weight, false);
  const activations = vectorActivations(queue, arena, dot, x, pairs / perRow, I, room);
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
    activations,
  });
  queue.int(experts);
  queue.int(perRow);
  queue.int(matrixBytes(weight.dtype, N, I));
  queue.int(activations.order);
  queue.int(activations.counts);
}

/** The arguments that both kernels begin with. */
function common(
  queue: Queue,
  { to, outPitch, tiles, weight, dot, R, N, I, columnsOfX, added, activations }: {
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
    readonly activations: Activations;
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
  queue.int(activations.codes);
  queue.int(activations.scale);
  queue.int(extraOf(weight, activations));
}

/** Rows of tiles that a thread takes at once, so that every thread has as many of such units as the next. */
function runOf(bytes: number, N: number, times: number, threads: number): number {
  const units = Math.max(1, Math.round((bytes * times) / (threads * UNIT_BYTES))) * threads;
  return Math.max(1, Math.ceil((Math.ceil(N / 8) * times) / units));
}
