import type { ModelConfig, RopeScaling } from "../config.ts";
import { badData } from "../errors.ts";

/**
 * Far above any published model, low enough that sizes derived from them stay safe integers.
 */
const LIMITS = {
  numLayers: 4096,
  hiddenSize: 2 ** 20,
  ffnSize: 2 ** 22,
  vocabSize: 2 ** 23,
  numHeads: 2 ** 14,
  numKvHeads: 2 ** 14,
  headDim: 2 ** 12,
  contextLength: 2 ** 27,
} as const;

/**
 * Refuses configurations no model can have.
 *
 * @throws {DsError} kind "bad-data"
 */
export function checkConfig(config: ModelConfig, file: string): ModelConfig {
  for (const [name, limit] of Object.entries(LIMITS) as [keyof typeof LIMITS, number][]) {
    const value = config[name];
    if (!Number.isSafeInteger(value) || value < 1 || value > limit) {
      throw badData(file, `${name} must be a whole number from 1 to ${limit}: found ${value}`);
    }
  }
  const { numHeads, numKvHeads, headDim, rmsNormEpsilon } = config;
  if (numHeads % numKvHeads !== 0) {
    throw badData(file, `its ${numHeads} query heads must divide evenly among its ${numKvHeads} KV heads`);
  }
  if (headDim % 2 !== 0) throw badData(file, `headDim must be even for rotary embedding: found ${headDim}`);
  if (!(rmsNormEpsilon >= 0 && rmsNormEpsilon < 1)) {
    throw badData(file, `the epsilon of its RMS norm must be from 0 to 1: found ${rmsNormEpsilon}`);
  }
  checkTokenIds(config, file);
  checkRange(config.rope.base, 1.000001, 1e15, "the rope base", file);
  if (config.rope.scaling !== null) checkScaling(config.rope.scaling, config, file);
  return config;
}

function checkTokenIds(config: ModelConfig, file: string): void {
  for (const [name, ids] of [["BOS", [config.bosTokenId ?? 0]], ["EOS", config.eosTokenIds]] as const) {
    for (const id of ids) {
      if (!Number.isSafeInteger(id) || id < 0 || id >= config.vocabSize) {
        throw badData(
          file,
          `its ${name} token id must be below the vocabulary size ${config.vocabSize}: found ${id}`,
        );
      }
    }
  }
}

function checkScaling(scaling: RopeScaling, config: ModelConfig, file: string): void {
  if (scaling.type === "factors") {
    if (scaling.factors.length !== config.headDim / 2) {
      throw badData(
        file,
        `it has ${scaling.factors.length} rope factors for ${config.headDim / 2} channel pairs`,
      );
    }
    for (const factor of scaling.factors) checkRange(factor, 1e-3, 1e6, "a rope factor", file);
    return;
  }
  checkRange(scaling.factor, 1, 1e5, "the rope scaling factor", file);
  if (scaling.type === "linear") return;
  checkRange(scaling.originalContext, 1, LIMITS.contextLength, "the original context of rope scaling", file);
  if (scaling.type === "llama3") {
    checkRange(scaling.lowFrequencyFactor, 1e-3, 1e6, "low_freq_factor", file);
    checkRange(scaling.highFrequencyFactor, 1e-3, 1e6, "high_freq_factor", file);
    if (scaling.highFrequencyFactor <= scaling.lowFrequencyFactor) {
      throw badData(file, "high_freq_factor of its rope scaling must be above low_freq_factor");
    }
    return;
  }
  checkRange(scaling.betaSlow, 1e-3, 1e6, "beta_slow", file);
  checkRange(scaling.betaFast, scaling.betaSlow, 1e6, "beta_fast", file);
  checkRange(scaling.attentionFactor, 1e-3, 1e3, "the attention factor of rope scaling", file);
}

function checkRange(value: number, low: number, high: number, name: string, file: string): void {
  if (!(value >= low && value <= high)) {
    throw badData(file, `${name} must be from ${low} to ${high}: found ${value}`);
  }
}
