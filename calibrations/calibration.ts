import { DsError } from "../core/errors.ts";
import type { CalibratedModel } from "./model_identity.ts";

/**
 * What channels are ranked by, the default first. Of post-RoPE q and k of a token with itself, over all tokens:
 * "qk2" mean (q_c·k_c)², "qk" mean |q_c·k_c|, "q" mean |q_c|, "k" mean |k_c|; one ranking per KV head, summed over its query
 * heads. "qPerHead" and "qkPerHead" are "q" and "qk" with one ranking per query head.
 */
export const STATISTICS = ["qk2", "qk", "q", "k", "qPerHead", "qkPerHead"] as const;

export type Statistic = (typeof STATISTICS)[number];

/** Full orders of channels, the heaviest first. */
export interface ChannelRanking {
  /** H: Hk, or Hq for a statistic per query head */
  readonly heads: number;
  /** [L, H, d]: every run of d values is a permutation of 0 … d−1 */
  readonly data: Uint8Array;
}

export interface CalibrationCorpus {
  readonly name: string;
  /** Of the corpus text's UTF-8 bytes, lower-case hex. */
  readonly sha256: string;
  /** Tokens prefilled in all. */
  readonly tokens: number;
  /** Tokens prefilled together. */
  readonly blockLength: number;
  readonly seed: number;
}

/**
 * What was learnt about one model. L, Hq, Hk, d as in METHOD.md. Parts that were not measured are null: an import holds rankings
 * alone, `--quick` leaves out the recalls and `headKl`.
 */
export interface Calibration {
  readonly model: CalibratedModel;
  /** null for an import */
  readonly corpus: CalibrationCorpus | null;
  readonly rankings: ReadonlyMap<Statistic, ChannelRanking>;
  /** f32 [L, Hk, d], >= 0: the default statistic's values */
  readonly importance: Float32Array | null;
  /** f32 [L, Hk, d]: mean of each key channel, the first 4 tokens of a block left out */
  readonly keyMean: Float32Array | null;
  /** f32 [L, Hk, d], >= 0: standard deviation likewise */
  readonly keyStd: Float32Array | null;
  /** Tokens of context `keyMean` and `keyStd` were measured to. */
  readonly keyContext: number | null;
  /** f32 [L, Hk] in [0, 1]: share of the attention mass that the selected tokens held */
  readonly layerRecall: Float32Array | null;
  /** f32 [L] in [0, 1]: the same share for a selection predicted from layer l−1, after its attention; layer 0: its own */
  readonly predictionRecall: Float32Array | null;
  /** f32 [L, Hk], nats, >= 0: KL on the logits of making this KV head alone sparse */
  readonly headKl: Float32Array | null;
  /** f32 [L, Hk], mean 1: share of the token budget; all 1 without `headKl` */
  readonly budgets: Float32Array;
  /** Layers to keep dense, ascending. */
  readonly denseLayers: readonly number[];
  /** Of the ds that made it. */
  readonly toolVersion: string;
}

/** The parts that are arrays of f32, in the order they are stored. */
export const FLOAT_FIELDS = [
  "importance",
  "keyMean",
  "keyStd",
  "layerRecall",
  "predictionRecall",
  "headKl",
  "budgets",
] as const;

export type FloatField = (typeof FLOAT_FIELDS)[number];

export function floatShape(field: FloatField, model: CalibratedModel): number[] {
  const { numLayers, numKvHeads, headDim } = model;
  switch (field) {
    case "predictionRecall":
      return [numLayers];
    case "layerRecall":
    case "headKl":
    case "budgets":
      return [numLayers, numKvHeads];
    case "importance":
    case "keyMean":
    case "keyStd":
      return [numLayers, numKvHeads, headDim];
  }
}

/** H of a statistic's rankings. */
export function rankingHeads(statistic: Statistic, model: CalibratedModel): number {
  return statistic === "qPerHead" || statistic === "qkPerHead" ? model.numHeads : model.numKvHeads;
}

/**
 * @param source the calibration's file as the user knows it
 * @throws {DsError} kind "usage" where the calibration has no such ranking
 */
export function requireRanking(
  calibration: Calibration,
  statistic: Statistic,
  source: string,
): ChannelRanking {
  const ranking = calibration.rankings.get(statistic);
  if (ranking !== undefined) return ranking;
  throw new DsError(
    "usage",
    `Cannot take channels from calibration ${source} as it has no "${statistic}" ranking: it holds ` +
      `${[...calibration.rankings.keys()].join(", ")}; \`ds calibrate\` makes one that holds all`,
  );
}

/** The best statistic per KV head that the calibration holds, or null (rankings per query head alone). */
export function bestStatistic(calibration: Calibration): Statistic | null {
  return (["qk2", "qk", "k", "q"] as const).find((statistic) => calibration.rankings.has(statistic)) ?? null;
}
