import { MAX_SHARE, MIN_SHARE } from "./budgets.ts";
import type { Calibration, CalibrationCorpus } from "./calibration.ts";
import { FLOAT_FIELDS, floatShape, rankingHeads, STATISTICS } from "./calibration.ts";
import type { CalibratedModel, ModelShape } from "./model_identity.ts";
import { isPlainText } from "./plain_text.ts";
import { firstBadRanking, MAX_HEAD_DIM } from "./ranking.ts";

const MAX_LAYERS = 1024;
const MAX_HEADS = 1024;
const MAX_COUNT = 2 ** 32 - 1;
const MAX_TEXT = 1024;
/** A rope given by d/2 factors is long. */
const MAX_ROPE_TEXT = 4000;
const SHA256 = /^[0-9a-f]{64}$/;

/** Why sizes cannot be a model's, or null. Everything that is sized by a model asks this first. */
export function shapeFault(model: ModelShape): string | null {
  const { numLayers, numHeads, numKvHeads, headDim } = model;
  if (!inRange(numLayers, 1, MAX_LAYERS)) return `numLayers must be in 1..${MAX_LAYERS}: found ${numLayers}`;
  if (!inRange(numHeads, 1, MAX_HEADS)) return `numHeads must be in 1..${MAX_HEADS}: found ${numHeads}`;
  if (!inRange(numKvHeads, 1, numHeads) || numHeads % numKvHeads !== 0) {
    return `numKvHeads must divide the ${numHeads} heads: found ${numKvHeads}`;
  }
  if (!inRange(headDim, 2, MAX_HEAD_DIM) || headDim % 2 !== 0) {
    return `headDim must be even and in 2..${MAX_HEAD_DIM}: found ${headDim}`;
  }
  return null;
}

/**
 * Why a record is not a calibration, as the end of a sentence, or null. The one list of rules: what ds writes and what it reads
 * must both satisfy it.
 */
export function calibrationFault(calibration: Calibration): string | null {
  return modelFault(calibration.model) ?? corpusFault(calibration.corpus) ?? rankingsFault(calibration) ??
    valuesFault(calibration) ?? budgetsFault(calibration) ?? layersFault(calibration) ??
    (isPlainText(calibration.toolVersion, MAX_TEXT) ? null : "its toolVersion must be one line of text");
}

function modelFault(model: CalibratedModel): string | null {
  const fault = shapeFault(model);
  if (fault !== null) return `its model's ${fault}`;
  const { family, fingerprint, rope } = model;
  if (family === null && fingerprint === null && rope === null) return null;
  if (family === null || fingerprint === null || rope === null) {
    return "its model must have family, fingerprint and rope, or none of them";
  }
  if (!isPlainText(family, MAX_TEXT)) return "its model's family must be one line of text";
  if (!isPlainText(rope, MAX_ROPE_TEXT)) return "its model's rope must be one line of text";
  if (!SHA256.test(fingerprint)) return "its model's fingerprint must be a SHA-256 in lower-case hex";
  return null;
}

function corpusFault(corpus: CalibrationCorpus | null): string | null {
  if (corpus === null) return null;
  const { name, sha256, tokens, blockLength, seed } = corpus;
  if (!isPlainText(name, MAX_TEXT)) return "its corpus's name must be one line of text";
  if (!SHA256.test(sha256)) return "its corpus's sha256 must be a SHA-256 in lower-case hex";
  if (!inRange(tokens, 1, MAX_COUNT)) {
    return `its corpus's tokens must be in 1..${MAX_COUNT}: found ${tokens}`;
  }
  if (!inRange(blockLength, 1, tokens)) {
    return `its corpus's blockLength must be in 1..${tokens}, its tokens: found ${blockLength}`;
  }
  if (!inRange(seed, 0, MAX_COUNT)) return `its corpus's seed must be in 0..${MAX_COUNT}: found ${seed}`;
  return null;
}

function rankingsFault({ model, rankings }: Calibration): string | null {
  if (rankings.size === 0) return "it must hold at least one ranking";
  for (const [statistic, { heads, data }] of rankings) {
    if (!STATISTICS.includes(statistic)) return "it holds a ranking of an unknown statistic";
    const name = `its "${statistic}" ranking`;
    const expected = rankingHeads(statistic, model);
    if (heads !== expected) return `${name} must have ${expected} heads: found ${heads}`;
    const length = model.numLayers * heads * model.headDim;
    if (data.length !== length) return `${name} must have ${length} values: found ${data.length}`;
    const row = firstBadRanking(data, model.headDim);
    if (row >= 0) {
      return `${name} must order channels 0..${model.headDim - 1}, each once: layer ${
        Math.floor(row / heads)
      }, ` +
        `head ${row % heads} does not`;
    }
  }
  return null;
}

function valuesFault(calibration: Calibration): string | null {
  for (const field of FLOAT_FIELDS) {
    const values = calibration[field];
    if (values === null) continue;
    const length = floatShape(field, calibration.model).reduce((a, b) => a * b);
    if (values.length !== length) return `its ${field} must have ${length} values: found ${values.length}`;
    const low = field === "keyMean" ? -Infinity : 0;
    const high = field === "layerRecall" || field === "predictionRecall" ? 1 : Infinity;
    for (let i = 0; i < length; i++) {
      const value = values[i];
      if (Number.isFinite(value) && value >= low && value <= high) continue;
      const wanted = high === 1 ? "in 0..1" : low === 0 ? "finite and >= 0" : "finite";
      return `its ${field} must be ${wanted}: found ${value} at ${i}`;
    }
  }
  const { keyMean, keyStd, keyContext } = calibration;
  if ((keyMean === null) !== (keyStd === null) || (keyMean === null) !== (keyContext === null)) {
    return "it must hold keyMean, keyStd and keyContext, or none of them";
  }
  if (keyContext !== null && !inRange(keyContext, 1, MAX_COUNT)) {
    return `its keyContext must be in 1..${MAX_COUNT}: found ${keyContext}`;
  }
  return null;
}

function budgetsFault({ budgets, headKl }: Calibration): string | null {
  let sum = 0;
  for (let i = 0; i < budgets.length; i++) {
    const share = budgets[i];
    if (headKl === null && share !== 1) {
      return `its budgets must all be 1 without headKl: found ${share} at ${i}`;
    }
    if (share < 0.999 * MIN_SHARE / MAX_SHARE || share > 1.001 * MAX_SHARE / MIN_SHARE) {
      return `its budgets must be in ${MIN_SHARE / MAX_SHARE}..${(MAX_SHARE / MIN_SHARE).toFixed(2)}: ` +
        `found ${share} at ${i}`;
    }
    sum += share;
  }
  const mean = sum / budgets.length;
  return Math.abs(mean - 1) < 1e-3 ? null : `its budgets must have mean 1: found ${mean}`;
}

function layersFault({ model, denseLayers }: Calibration): string | null {
  let previous = -1;
  for (const layer of denseLayers) {
    if (!inRange(layer, previous + 1, model.numLayers - 1)) {
      return `its denseLayers must ascend within 0..${model.numLayers - 1}: found ${layer} after ${previous}`;
    }
    previous = layer;
  }
  return null;
}

function inRange(value: number, low: number, high: number): boolean {
  return Number.isInteger(value) && value >= low && value <= high;
}
