import type { LayerCache, Scores } from "../../core/backend.ts";
import { labelChannels } from "../../core/labels.ts";
import { DOT_PLAIN, QUANTISE_QUERIES, SCORE_CHUNK, SCORE_LABELS } from "./kernels/ops.ts";
import type { Queue } from "./queue.ts";
import { cpu, type CpuTensor } from "./tensor.ts";
import type { Variants } from "./variants.ts";

/** Codes that one thread makes in less time than two barriers take. */
const ALONE_CODES = 512;

/** score[n] = Σ_c Q_c·code[n, c] for the kvLen tokens of every row, with each head's exponent and largest score. */
export function scoreLabels(
  queue: Queue,
  variants: Pick<Variants, "scores">,
  scores: Scores,
  qkv: CpuTensor,
  cache: LayerCache,
): void {
  const { labels } = cache;
  if (labels === null) return;
  const [T, heads, d] = qkv.shape;
  const [, Hk, S] = labels.words.shape;
  const Hq = heads - 2 * Hk;
  const { wide, narrow } = labels.layout;
  const C = labelChannels(labels.layout);
  const { dot } = variants.scores;
  const { arena } = cpu(labels.words);
  const codesBytes = T * Hq * C * 8;
  const kvLen = queue.rows.positions.reduce((most, position) => Math.max(most, position), 0) + 1;

  const words = queue.read(cpu(labels.words), arena);
  const channels = queue.read(cpu(labels.channels), arena);
  const step = queue.read(cpu(labels.step), arena);
  const from = queue.read(qkv, arena);
  const out = queue.write(cpu(scores.scores), arena);
  const exponents = queue.write(cpu(scores.exponents), arena);
  const maxima = queue.write(cpu(scores.maxima), arena);
  const { slots, positions, homes } = queue.rowsIn(arena);
  const codes = queue.scratch(arena, codesBytes + queue.threads * (C * 32 + 64));

  queue.begin(QUANTISE_QUERIES, arena, T * Hq * C <= ALONE_CODES);
  for (const value of [codes, from, channels, step, exponents, maxima]) queue.int(value);
  for (const value of [T, Hq, Hk, d, wide, narrow, dot === DOT_PLAIN ? 0 : 1]) queue.int(value);

  queue.begin(SCORE_LABELS, arena);
  for (const value of [out, maxima, codes, words, slots, positions, homes]) queue.int(value);
  for (const value of [T, Hq, Hk, S, wide, narrow, Math.ceil(kvLen / SCORE_CHUNK)]) queue.int(value);
  queue.int(dot);
  queue.int(codes + codesBytes);
}
