import { budgetsFromHeadKl } from "../../calibrations/budgets.ts";
import type { Calibration, ChannelRanking, Statistic } from "../../calibrations/calibration.ts";
import { rankingHeads, STATISTICS } from "../../calibrations/calibration.ts";
import type { CalibratedModel, ModelShape } from "../../calibrations/model_identity.ts";
import { rankChannels } from "../../calibrations/ranking.ts";

/** Numbers in [0, 1), the same for a seed on every runtime. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export function floats(random: () => number, length: number, low = 0, high = 1): Float32Array {
  return Float32Array.from({ length }, () => low + (high - low) * random());
}

export function permutations(random: () => number, rows: number, headDim: number): Uint8Array {
  return rankChannels(floats(random, rows * headDim), headDim);
}

export const SHAPE: ModelShape = { numLayers: 3, numHeads: 4, numKvHeads: 2, headDim: 8 };

/** A calibration with every part, or only what an import has. */
export function sampleCalibration(
  seed: number,
  parts: "all" | "rankings" = "all",
  shape = SHAPE,
): Calibration {
  const random = seeded(seed);
  const { numLayers, numKvHeads, headDim } = shape;
  const heads = numLayers * numKvHeads;
  const model: CalibratedModel = parts === "rankings"
    ? { family: null, fingerprint: null, ...shape, rope: null }
    : {
      family: "llama",
      fingerprint: "0123456789abcdef".repeat(4),
      ...shape,
      rope: "half-split base=10000 scaling=none",
    };
  const rankings = new Map<Statistic, ChannelRanking>();
  for (const statistic of STATISTICS) {
    const rankedHeads = rankingHeads(statistic, model);
    rankings.set(statistic, {
      heads: rankedHeads,
      data: permutations(random, numLayers * rankedHeads, headDim),
    });
  }
  if (parts === "rankings") {
    return {
      model,
      corpus: null,
      rankings,
      importance: null,
      keyMean: null,
      keyStd: null,
      keyContext: null,
      layerRecall: null,
      predictionRecall: null,
      headKl: null,
      budgets: new Float32Array(heads).fill(1),
      denseLayers: [],
      toolVersion: "0.1.0",
    };
  }
  const headKl = floats(random, heads, 0, 0.01);
  return {
    model,
    corpus: {
      name: "Melville, Möby-Dick – 鯨.txt",
      sha256: "fedcba9876543210".repeat(4),
      tokens: 70000,
      blockLength: 8192,
      seed: 4294967295,
    },
    rankings,
    importance: floats(random, heads * headDim, 0, 100),
    keyMean: floats(random, heads * headDim, -5, 5),
    keyStd: floats(random, heads * headDim, 0, 3),
    keyContext: 8192,
    layerRecall: floats(random, heads),
    predictionRecall: floats(random, numLayers),
    headKl,
    budgets: budgetsFromHeadKl(headKl),
    denseLayers: [0, 2],
    toolVersion: "0.1.0",
  };
}
