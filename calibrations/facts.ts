import type { CalibrationFacts } from "../core/attention/open.ts";
import type { LabelLayout } from "../core/backend.ts";
import type { LabelChannels, LabelPlan } from "../core/kv_cache.ts";
import { labelChannels, quantiser } from "../core/labels.ts";
import { bestStatistic, type Calibration, type Statistic } from "./calibration.ts";

/** What decoding takes from a calibration, for a label layout chosen now: full rankings are stored. */
export function calibrationFacts(calibration: Calibration, layout: LabelLayout): CalibrationFacts {
  const { budgets, headKl, denseLayers, rankings } = calibration;
  return {
    labels: labelPlan(calibration, layout),
    shares: headKl === null ? null : budgets,
    denseLayers,
    queryHeadRanking: rankings.get("qkPerHead")?.data ?? null,
  };
}

/**
 * Channels and quantisers of every layer; null where the calibration (an import) has no ranking per KV head or no key
 * statistics.
 *
 * @throws {RangeError} the layout wants more channels than a head has
 */
export function labelPlan(
  calibration: Calibration,
  layout: LabelLayout,
  statistic: Statistic | null = bestStatistic(calibration),
): LabelPlan | null {
  const { keyMean, keyStd } = calibration;
  const ranking = statistic === null ? undefined : calibration.rankings.get(statistic);
  if (ranking === undefined || keyMean === null || keyStd === null) return null;
  const { numLayers, numKvHeads, headDim: d } = calibration.model;
  const C = labelChannels(layout);
  if (C > d) {
    throw new RangeError(`Cannot label ${C} channels as a head has ${d}: choose a smaller --labels layout`);
  }
  const layers = Array.from({ length: numLayers }, (_, layer): LabelChannels => {
    const made = {
      channels: new Int32Array(numKvHeads * C),
      zero: new Float32Array(numKvHeads * C),
      step: new Float32Array(numKvHeads * C),
      inverseStep: new Float32Array(numKvHeads * C),
    };
    for (let h = 0; h < numKvHeads; h++) {
      const row = (layer * numKvHeads + h) * d;
      const channels = ranking.data.subarray(row, row + C);
      const pick = (values: Float32Array) => Float32Array.from(channels, (c) => values[row + c]);
      const { zero, step, inverseStep } = quantiser(layout, pick(keyMean), pick(keyStd));
      made.channels.set(channels, h * C);
      made.zero.set(zero, h * C);
      made.step.set(step, h * C);
      made.inverseStep.set(inverseStep, h * C);
    }
    return made;
  });
  return { layout, layers };
}
