import assert from "node:assert/strict";
import { test } from "node:test";
import { calibrationFacts } from "../../../calibrations/facts.ts";
import { ATTENTION_MODES } from "../../../core/attention/attention.ts";
import { labelsOf, openAttention } from "../../../core/attention/open.ts";
import { DsError } from "../../../core/errors.ts";
import { parseLabelLayout } from "../../../core/labels.ts";
import { consecutiveRows } from "../../../core/model.ts";
import {
  cacheOf,
  calibrated,
  denseLogits,
  denseOf,
  forward,
  randomIds,
  SPARSE,
  tinyModel,
} from "../../support/tiny_model.ts";

const model = await tinyModel(1, { context: 96 });
const { backend, config } = model;
const facts = calibrationFacts(await calibrated(model, [randomIds(1, 96)]), parseLabelLayout("8x4"));
const ids = randomIds(2, 64);

test("openAttention() opens every mode, each with what labelsOf() says its cache needs", async () => {
  const dense = (await denseLogits(model, ids)).slice(-config.vocabSize);
  for (const mode of ATTENTION_MODES) {
    const cache = cacheOf(model, 64, labelsOf(mode, facts));
    await forward(model, cache, consecutiveRows(ids.slice(0, 63), 0), denseOf(model));
    const attention = openAttention(mode, backend, config, { ...SPARSE, calibration: facts }, 64);
    assert.equal(attention.mode, mode);
    const logits = await forward(model, cache, consecutiveRows(ids.slice(63), 63), attention);
    if (mode === "dense") assert.deepEqual(logits, dense);
    else assert.notDeepEqual(logits, dense, mode);
    assert.equal(attention.lastSelection === null, mode === "dense");
    assert.equal(attention.reads(0, 64).dense, mode === "dense");
    attention.free();
    cache.free();
  }
});

test("openAttention() refuses a mode when no calibration gives what it needs", () => {
  const refused = (mode: "double-sparsity" | "paper", calibration: typeof facts | null, what: RegExp) =>
    assert.throws(
      () => openAttention(mode, backend, config, { ...SPARSE, calibration }, 64),
      (error) => error instanceof DsError && error.kind === "missing-input" && what.test(error.message),
    );
  refused("double-sparsity", null, /double-sparsity.*key means/);
  refused("double-sparsity", { ...facts, labels: null }, /ds calibrate/);
  refused("paper", null, /paper.*per query head/);
  refused("paper", { ...facts, queryHeadRanking: null }, /ds calibrate/);
});

test("openAttention() runs the oracle without a tail when no calibration gives labels", async () => {
  const decode = async (calibration: typeof facts | null, tail: boolean) => {
    const cache = cacheOf(model, 64, labelsOf("oracle", calibration));
    await forward(model, cache, consecutiveRows(ids.slice(0, 63), 0), denseOf(model));
    const oracle = openAttention("oracle", backend, config, { ...SPARSE, tail, calibration }, 64);
    return await forward(model, cache, consecutiveRows(ids.slice(63), 63), oracle);
  };
  const withoutTail = await decode(facts, false);
  assert.deepEqual(await decode(null, true), withoutTail);
  assert.notDeepEqual(await decode(facts, true), withoutTail);
});

test("labelsOf() is null when a mode reads no labels", () => {
  const needing = ATTENTION_MODES.filter((mode) => labelsOf(mode, facts) !== null);
  assert.deepEqual(needing, ["double-sparsity", "oracle"]);
  assert.ok(ATTENTION_MODES.every((mode) => labelsOf(mode, null) === null));
});
