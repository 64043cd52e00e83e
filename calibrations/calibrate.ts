import { DenseAttention } from "../core/attention/dense.ts";
import type { ModelConfig } from "../core/config.ts";
import { KvCache } from "../core/kv_cache.ts";
import { defaultLabelLayout } from "../core/labels.ts";
import { consecutiveRows, type Model } from "../core/model.ts";
import { PREFILL_CHUNK } from "../core/session.ts";
import { downloadFloats } from "../core/tensor_io.ts";
import { budgetsFromHeadKl, uniformBudgets } from "./budgets.ts";
import type { Calibration, CalibrationCorpus, ChannelRanking, Statistic } from "./calibration.ts";
import { labelPlan } from "./facts.ts";
import { type BlockMeasures, type CachedBlock, measureBlock, MEASURED_POSITIONS } from "./measure.ts";
import type { ModelIdentity } from "./model_identity.ts";
import { rankChannels } from "./ranking.ts";
import { ChannelStatistics } from "./statistics.ts";

export interface CalibrateOptions {
  readonly identity: ModelIdentity;
  readonly corpus: Pick<CalibrationCorpus, "name" | "sha256" | "seed">;
  readonly toolVersion: string;
  /** Leaves out recall, prediction recall and headKl. */
  readonly quick: boolean;
  /** Rankings to keep instead of the measured ones (an import). */
  readonly rankings?: ReadonlyMap<Statistic, ChannelRanking>;
  readonly onProgress?: (progress: CalibrateProgress) => void;
  readonly signal?: AbortSignal;
}

export interface CalibrateProgress {
  readonly stage: "statistics" | "measurements";
  /** Of the stage: tokens, then KV heads. */
  readonly done: number;
  readonly total: number;
}

/** Blocks the measurements look at, the last ones; their K and V are kept until then. */
const MEASURED_BLOCKS = 2;

/**
 * A layer whose KV heads, each alone made sparse, add up to this many nats of KL stays dense. Even layer 0 of the models
 * studied is far below it once the tail is capped, so usually no layer is.
 */
const DENSE_LAYER_KL = 0.1;

/**
 * Finds each KV head's heavy channels and how its keys are distributed, from dense prefills of token blocks as long as the
 * context to be served (Yang et al., arXiv 2408.07092, offline calibration; statistics and measurements as in METHOD.md).
 * The same inputs give the same bytes on every runtime.
 */
export async function calibrate(
  model: Model,
  blocks: readonly (readonly number[])[],
  options: CalibrateOptions,
): Promise<Calibration> {
  const measured: CachedBlock[] = [];
  try {
    const statistics = await gather(model, blocks, options, measured);
    const calibration = summarise(model.config, blocks, statistics, options);
    return options.quick
      ? calibration
      : { ...calibration, ...await measure(model, measured, calibration, options) };
  } finally {
    for (const { cache } of measured) cache.free();
  }
}

function summarise(
  { numLayers, numHeads, numKvHeads, headDim }: ModelConfig,
  blocks: readonly (readonly number[])[],
  statistics: ChannelStatistics,
  options: CalibrateOptions,
): Calibration {
  const rank = (heads: number, importance: Float64Array): ChannelRanking => ({
    heads,
    data: rankChannels(importance, headDim),
  });
  const rankings = options.rankings ?? new Map<Statistic, ChannelRanking>([
    ["qk2", rank(numKvHeads, statistics.perKvHead("qk2"))],
    ["qk", rank(numKvHeads, statistics.perKvHead("qk"))],
    ["q", rank(numKvHeads, statistics.perKvHead("q"))],
    ["k", rank(numKvHeads, statistics.perKvHead("k"))],
    ["qPerHead", rank(numHeads, statistics.perHead("q"))],
    ["qkPerHead", rank(numHeads, statistics.perHead("qk"))],
  ]);
  const { mean, std } = statistics.keyMoments();
  const longest = Math.max(...blocks.map((block) => block.length));
  return {
    model: options.identity,
    corpus: {
      ...options.corpus,
      tokens: blocks.reduce((sum, block) => sum + block.length, 0),
      blockLength: longest,
    },
    rankings,
    importance: options.rankings === undefined ? Float32Array.from(statistics.perKvHead("qk2")) : null,
    keyMean: mean,
    keyStd: std,
    keyContext: longest,
    layerRecall: null,
    predictionRecall: null,
    headKl: null,
    budgets: uniformBudgets(numLayers * numKvHeads),
    denseLayers: [],
    toolVersion: options.toolVersion,
  };
}

/** Statistics of all blocks; the last few blocks' caches are handed over in `keep` where measurements follow. */
async function gather(
  model: Model,
  blocks: readonly (readonly number[])[],
  { onProgress, signal, quick }: CalibrateOptions,
  keep: CachedBlock[],
): Promise<ChannelStatistics> {
  const { backend, config } = model;
  const statistics = new ChannelStatistics(config);
  const dense = new DenseAttention(backend, config);
  const total = blocks.reduce((sum, block) => sum + block.length, 0);
  let done = 0;
  for (const [index, block] of blocks.entries()) {
    const kept = !quick && index >= blocks.length - MEASURED_BLOCKS;
    const capacity = block.length + (kept ? MEASURED_POSITIONS : 0);
    const cache = KvCache.alloc(backend, config, { slots: 1, capacity, dtype: "f32", labels: null });
    if (kept) keep.push({ ids: block, cache });
    try {
      for (let first = 0; first < block.length; first += PREFILL_CHUNK) {
        signal?.throwIfAborted();
        const piece = block.slice(first, first + PREFILL_CHUNK);
        await model.forward(cache, consecutiveRows(piece, first), dense, {
          tap: {
            qkv: async (layer, qkv) => statistics.add(layer, await downloadFloats(backend, qkv), first),
          },
        });
        done += piece.length;
        onProgress?.({ stage: "statistics", done, total });
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    } finally {
      if (!kept) cache.free();
    }
  }
  return statistics;
}

async function measure(
  model: Model,
  blocks: readonly CachedBlock[],
  calibration: Calibration,
  { onProgress, signal }: CalibrateOptions,
): Promise<Partial<Calibration>> {
  const { numLayers, numKvHeads, headDim } = model.config;
  const labels = labelPlan(calibration, defaultLabelLayout(headDim));
  if (labels === null) return {};
  const total = blocks.length * numLayers * numKvHeads;
  let done = 0;
  const all: BlockMeasures[] = [];
  for (const block of blocks) {
    all.push(
      await measureBlock(model, block, labels, {
        positions: Math.floor(MEASURED_POSITIONS / blocks.length),
        ...(signal && { signal }),
        onHead: () => onProgress?.({ stage: "measurements", done: ++done, total }),
      }),
    );
  }
  const average = (field: keyof BlockMeasures) =>
    Float32Array.from(
      all[0][field],
      (_, i) => all.reduce((sum, measures) => sum + measures[field][i], 0) / all.length,
    );
  // A share of the mass may come out a rounding above all of it.
  const share = (field: "layerRecall" | "predictionRecall") =>
    average(field).map((value) => Math.min(value, 1));
  const headKl = average("headKl");
  const layerKl = Array.from(
    { length: numLayers },
    (_, layer) =>
      headKl.subarray(layer * numKvHeads, (layer + 1) * numKvHeads).reduce((sum, kl) => sum + kl, 0),
  );
  return {
    layerRecall: share("layerRecall"),
    predictionRecall: share("predictionRecall"),
    headKl,
    budgets: budgetsFromHeadKl(headKl),
    denseLayers: layerKl.flatMap((kl, layer) => kl > DENSE_LAYER_KL ? [layer] : []),
  };
}
