import { type Arena, rounded } from "./arena.ts";
import { ADD_RESIDUALS, QUANTISE_VECTOR, RESIDUAL_ROOM, TOKENS } from "./kernels/ops.ts";
import { quantisedBytes, quantiseRows } from "./quantised.ts";
import { ALONE_VALUES, type Queue } from "./queue.ts";

/**
 * Activations x [R, I] in byte codes, with a second entry for what rounding left of blocks that have outliers
 * (`kernels/residuals.ts`). These are addresses of arrays with a number per entry.
 */
interface Entries {
  /** i8 [32] per entry. */
  readonly codes: number;
  /** f32. */
  readonly scale: number;
  /** f32: scale · Σ codes. */
  readonly scaledSum: number;
  /** i32: -8 · Σ codes. */
  readonly centre: number;
}

/** Rows by themselves: the entries of row r start at 2·r·blocks. */
export interface VectorEntries extends Entries {
  /** i32: an entry's block. */
  readonly order: number;
  /** i32 [R]: entries of a row. */
  readonly counts: number;
}

/** Rows together: block b of row r is entry b·R + r, and residuals are listed. */
export interface MatrixEntries extends Entries {
  readonly residuals: Entries & {
    /** u8: the row of an entry less the first of its TOKENS rows. */
    readonly tokens: number;
    /** i32 [blocks, ⌈R / TOKENS⌉]. */
    readonly counts: number;
  };
}

function blocksOf(I: number): number {
  return Math.ceil(I / 32);
}

function entryBytes(entries: number): number {
  return rounded(32 * entries) + 3 * rounded(4 * entries);
}

function entriesAt(at: number, entries: number): Entries {
  const scale = at + rounded(32 * entries);
  const scaledSum = scale + rounded(4 * entries);
  return { codes: at, scale, scaledSum, centre: scaledSum + rounded(4 * entries) };
}

/** Bytes that `quantiseVector` fills and works in. */
export function vectorEntryBytes(R: number, I: number, threads: number): number {
  const entries = 2 * R * blocksOf(I);
  return entryBytes(entries) + rounded(4 * entries) + rounded(4 * R) + threads * RESIDUAL_ROOM;
}

/** Queues the command that quantises x, f32 [R, I], row by row into `vectorEntryBytes` bytes from `at` on. */
export function quantiseVector(
  queue: Queue,
  arena: Arena,
  x: number,
  R: number,
  I: number,
  at: number,
): VectorEntries {
  const count = 2 * R * blocksOf(I);
  const order = at + entryBytes(count);
  const counts = order + rounded(4 * count);
  const entries = { ...entriesAt(at, count), order, counts };
  queue.begin(QUANTISE_VECTOR, arena, R * I <= ALONE_VALUES);
  for (const value of [entries.codes, entries.scale, entries.scaledSum, entries.centre]) queue.int(value);
  for (const value of [order, counts, x, R, I, counts + rounded(4 * R)]) queue.int(value);
  return entries;
}

/** Bytes that `quantiseMatrix` fills and works in. */
export function matrixEntryBytes(R: number, I: number, threads: number): number {
  const entries = R * blocksOf(I);
  return rounded(quantisedBytes(R, I)) + rounded(4 * R) + entryBytes(entries) + rounded(entries) +
    rounded(4 * blocksOf(I) * Math.ceil(R / TOKENS)) + threads * RESIDUAL_ROOM;
}

/** Queues the commands that quantise x, f32 [R, I], with the same block of all rows adjacent, into `matrixEntryBytes` bytes. */
export function quantiseMatrix(
  queue: Queue,
  arena: Arena,
  x: number,
  R: number,
  I: number,
  at: number,
): MatrixEntries {
  const count = R * blocksOf(I);
  const limits = at + rounded(quantisedBytes(R, I));
  const first = limits + rounded(4 * R);
  const tokens = first + entryBytes(count);
  const counts = tokens + rounded(count);
  const room = counts + rounded(4 * blocksOf(I) * Math.ceil(R / TOKENS));
  const rows = quantiseRows(queue, arena, x, R, I, at, { byBlock: true, limits });
  const residuals = { ...entriesAt(first, count), tokens, counts };
  queue.begin(ADD_RESIDUALS, arena);
  for (const value of [residuals.codes, residuals.scale, residuals.scaledSum, residuals.centre]) {
    queue.int(value);
  }
  for (const value of [tokens, counts, rows.codes, rows.scale, limits, x, R, I, room]) queue.int(value);
  return { ...rows, residuals };
}
