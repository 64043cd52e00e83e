import type { LayerCache, Scores } from "../../core/backend.ts";
import { labelChannels, labelWords } from "../../core/labels.ts";
import { type Queue, spread } from "./queue.ts";
import { gpu, type WebGpuTensor } from "./tensor.ts";
import { tokenGrid } from "./token_grid.ts";

/** Tokens of a workgroup of `score_labels.wgsl`. */
const TOKENS = 512;

/** score[n] = Σ_c Q_c·code[n, c] for the kvLen tokens of every row, with each head's exponent and largest score. */
export function scoreLabels(queue: Queue, scores: Scores, qkv: WebGpuTensor, cache: LayerCache): void {
  const { labels } = cache;
  if (labels === null) return;
  const [T, heads, d] = qkv.shape as [number, number, number];
  const [, Hk, S] = cache.kv.shape as [number, number, number];
  const Hq = heads - 2 * Hk;
  const G = Hq / Hk;
  const { layout } = labels;
  const exponents = gpu(scores.exponents).buffer;
  const maxima = gpu(scores.maxima).buffer;
  const queries = queue.scratch("int8 queries", T * Hq * labelChannels(layout));
  const constants = { WIDE: layout.wide, NARROW: layout.narrow };
  queue.run(
    queue.kernel("quantise_queries", constants),
    [T, heads, Hq, G, d],
    [queries, exponents, maxima, qkv.buffer, gpu(labels.channels).buffer, gpu(labels.step).buffer],
    spread(T * Hq),
  );
  const W = labelWords(layout);
  const label = W % 4 === 0 ? "label_quads" : W % 2 === 0 ? "label_pairs" : "label";
  queue.run(
    queue.kernel("score_labels", { ...constants, G, TOKENS }, { label }),
    [T * Hk, Hk, S],
    [gpu(scores.scores).buffer, maxima, queries, queue.rows.buffer, gpu(labels.words).buffer],
    tokenGrid(queue, TOKENS, T * Hk),
  );
}
