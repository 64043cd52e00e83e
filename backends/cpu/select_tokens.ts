import type { ForcedTokens, Scores, Selection } from "../../core/backend.ts";
import { importanceScale } from "../../core/importance.ts";
import {
  COLLECT_CANDIDATES,
  FINISH_SELECTION,
  GUESS_THRESHOLDS,
  MEASURE_TAILS,
  SELECT_BINS,
  SELECT_CHUNK,
  WEIGH_TOKENS,
} from "./kernels/ops.ts";
import type { Queue } from "./queue.ts";
import { cpu, type CpuTensor } from "./tensor.ts";

/** Rows are taken in batches whose weights and candidates fit these bytes, or one at a time. */
const BATCH_BYTES = 2 ** 25;

/** The heavyTokens[t, h] most important tokens of each set, ascending, and the mass of the others. */
export function selectTokens(
  queue: Queue,
  selection: Selection,
  scores: Scores,
  heavyTokens: CpuTensor,
  forced: ForcedTokens,
): void {
  const { headDim } = scores;
  const [T, Hq, S] = scores.scores.shape;
  const [, H, K] = selection.indices.shape;
  const { arena } = cpu(scores.scores);
  const kvLen = queue.rows.positions.reduce((most, position) => Math.max(most, position), 0) + 1;
  const chunks = Math.ceil(kvLen / SELECT_CHUNK);
  const pitch = chunks * SELECT_CHUNK;
  const perUnit = Math.LOG2E / Math.sqrt(headDim);
  const { multiplier, shift } = importanceScale(headDim, 0);
  const sinks = Math.min(forced.sinkTokens, S);
  const recents = Math.min(forced.recentTokens, S);
  const batch = Math.max(1, Math.min(T, Math.floor(BATCH_BYTES / (H * pitch * 8))));

  const from = queue.read(cpu(scores.scores), arena);
  const exponents = queue.read(cpu(scores.exponents), arena);
  const maxima = queue.read(cpu(scores.maxima), arena);
  const heavy = queue.read(heavyTokens, arena);
  const indices = queue.write(cpu(selection.indices), arena);
  const counts = queue.write(cpu(selection.counts), arena);
  const tailMass = queue.write(cpu(selection.tailMass), arena);
  const { positions } = queue.rowsIn(arena);

  let bytes = 0;
  const offset = (size: number) => (bytes += Math.ceil(size / 64) * 64) - Math.ceil(size / 64) * 64;
  const parts = [
    batch * Hq * chunks * 8,
    batch * H * pitch * 4,
    batch * H * pitch * 4,
    batch * H * chunks * 4,
    batch * H * 4,
    queue.threads * SELECT_BINS,
    queue.threads * pitch * 8,
  ].map(offset);
  const scratch = queue.scratch(arena, bytes);
  const [totals, weights, candidates, collected, thresholds, bins, exact] = parts.map((at) => scratch + at);

  for (let first = 0; first < T; first += batch) {
    const rows = Math.min(batch, T - first);
    const command = (op: number, values: readonly number[]) => {
      queue.begin(op, arena);
      for (const value of values) queue.int(value);
    };
    command(WEIGH_TOKENS, [weights, totals, from, exponents, maxima, positions]);
    for (const value of [first, rows, Hq, H, S, pitch, chunks]) queue.int(value);
    queue.float(perUnit);
    command(GUESS_THRESHOLDS, [thresholds, weights, heavy, positions, first, rows, H, pitch]);
    for (const value of [sinks, recents, bins]) queue.int(value);
    command(COLLECT_CANDIDATES, [candidates, collected, weights, thresholds, heavy, positions]);
    for (const value of [first, rows, H, pitch, chunks, sinks, recents]) queue.int(value);
    command(FINISH_SELECTION, [indices, counts, weights, candidates, collected, thresholds]);
    for (const value of [from, exponents, maxima, heavy, positions]) queue.int(value);
    for (const value of [first, rows, Hq, H, S, K, pitch, chunks]) queue.int(value);
    for (const value of [sinks, recents, multiplier, shift, bins, exact]) queue.int(value);
    command(MEASURE_TAILS, [tailMass, totals, from, exponents, maxima, indices, counts, positions]);
    for (const value of [first, rows, Hq, H, S, K, chunks]) queue.int(value);
    queue.float(perUnit);
  }
}
