import assert from "node:assert/strict";
import { test } from "node:test";
import { calibrationFacts, labelPlan } from "../../calibrations/facts.ts";
import { NARROW_STEP, parseLabelLayout, WIDE_STEP } from "../../core/labels.ts";
import { sampleCalibration } from "./sample.ts";

const SHAPE = { numLayers: 2, numHeads: 4, numKvHeads: 2, headDim: 32 };
const FULL = sampleCalibration(1, "all", SHAPE);

test("labelPlan() takes the first channels of each head's ranking, with quantisers of their keys", () => {
  const layout = parseLabelLayout("8x4+16x2");
  const plan = labelPlan(FULL, layout)!;
  assert.equal(plan.layers.length, 2);
  plan.layers.forEach(({ channels, zero, step, inverseStep }, layer) => {
    for (let h = 0; h < 2; h++) {
      const row = (layer * 2 + h) * 32;
      for (let j = 0; j < 24; j++) {
        const c = FULL.rankings.get("qk2")!.data[row + j];
        const at = h * 24 + j;
        assert.equal(channels[at], c);
        const wanted = FULL.keyStd![row + c] * (j < 8 ? WIDE_STEP : NARROW_STEP);
        assert.ok(Math.abs(step[at] - wanted) <= 1e-6 * wanted);
        const offset = (j < 8 ? 7.5 : 1.5) * wanted;
        assert.ok(Math.abs(zero[at] - (FULL.keyMean![row + c] - offset)) < 1e-5);
        assert.ok(Math.abs(inverseStep[at] * wanted - 1) < 1e-6);
      }
    }
  });
});

test("labelPlan() follows the statistic it is given", () => {
  const layout = parseLabelLayout("8x4");
  const byK = labelPlan(FULL, layout, "k")!;
  assert.deepEqual([...byK.layers[0].channels.slice(0, 8)], [...FULL.rankings.get("k")!.data.slice(0, 8)]);
  assert.notDeepEqual(byK.layers[0].channels, labelPlan(FULL, layout)!.layers[0].channels);
});

test("labelPlan() throws when the layout wants more channels than a head has", () => {
  assert.throws(() => labelPlan(FULL, parseLabelLayout("8x4+32x2")), /40 channels.*32.*--labels/);
});

test("calibrationFacts() gives budgets only when they were measured", () => {
  const facts = calibrationFacts(FULL, parseLabelLayout("8x4"));
  assert.equal(facts.shares, FULL.budgets);
  assert.equal(facts.denseLayers, FULL.denseLayers);
  assert.equal(facts.queryHeadRanking, FULL.rankings.get("qkPerHead")!.data);
  assert.equal(calibrationFacts({ ...FULL, headKl: null }, parseLabelLayout("8x4")).shares, null);
});

test("calibrationFacts() has no labels when the calibration is an import, or has no ranking per KV head", () => {
  const layout = parseLabelLayout("8x4");
  const imported = sampleCalibration(2, "rankings", SHAPE);
  assert.equal(calibrationFacts(imported, layout).labels, null);
  assert.notEqual(calibrationFacts(imported, layout).queryHeadRanking, null);
  const rankings = new Map([["qkPerHead" as const, FULL.rankings.get("qkPerHead")!]]);
  assert.equal(calibrationFacts({ ...FULL, rankings }, layout).labels, null);
  assert.equal(calibrationFacts({ ...FULL, rankings: new Map() }, layout).queryHeadRanking, null);
});
