import assert from "node:assert/strict";
import { test } from "node:test";
import { calibrationFacts } from "../../calibrations/facts.ts";
import type { AttentionMode } from "../../core/attention/attention.ts";
import { type AttentionOptions, openAttention } from "../../core/attention/open.ts";
import { parseLabelLayout } from "../../core/labels.ts";
import { runTraffic, stepTraffic, weightTraffic } from "../../core/traffic.ts";
import { calibrated, randomIds, SPARSE, tinyModel } from "../support/tiny_model.ts";

// L 2, Hq 4, Hk 2, d 24: a K and V row is 2·24 values; labels are 2 words per token and KV head.
const model = await tinyModel(1, { headDim: 24, context: 128 });
const { backend, config } = model;
const calibration = await calibrated(model, [randomIds(1, 100)]);
const facts = calibrationFacts(calibration, parseLabelLayout("8x4+16x2"));

function open(mode: AttentionMode, options: Partial<AttentionOptions> = {}) {
  return openAttention(
    mode,
    backend,
    config,
    { ...SPARSE, tail: false, calibration: facts, ...options },
    1000,
  );
}

test("stepTraffic() is all of K and V when attention is dense", () => {
  const step = stepTraffic(open("dense"), config, "f16", 500);
  const bytes = 2 * 2 * 500 * 48 * 2;
  assert.deepEqual(step, { bytes, denseBytes: bytes, heavyTokens: 500, allDense: true });
  assert.equal(stepTraffic(open("dense"), config, "f32", 500).bytes, 2 * bytes);
});

test("stepTraffic() is labels and selected rows when attention is Double Sparsity", () => {
  const labels = 500 * 8;
  const step = stepTraffic(open("double-sparsity"), config, "f16", 500);
  assert.equal(step.bytes, 2 * 2 * (labels + 12 * 96));
  assert.equal(step.denseBytes, 2 * 2 * 500 * 96);
  assert.deepEqual([step.heavyTokens, step.allDense], [12, false]);

  const perHead = stepTraffic(open("double-sparsity", { perHead: true }), config, "f16", 500);
  assert.equal(perHead.bytes, 2 * (2 * labels + 4 * 12 * 96));
  assert.equal(perHead.heavyTokens, 12);

  // The mean of the values before the newest 64-token step, and the values since: (500 - 1) mod 64 = 51.
  const tail = stepTraffic(open("double-sparsity", { tail: true }), config, "f16", 500);
  assert.equal(tail.bytes - step.bytes, 2 * 2 * (24 * 4 + 51 * 24 * 2));
});

test("stepTraffic() counts dense layers and shares", () => {
  const mixed = stepTraffic(
    open("double-sparsity", { calibration: { ...facts, denseLayers: [1] } }),
    config,
    "f16",
    500,
  );
  assert.equal(mixed.bytes, 2 * (500 * 8 + 12 * 96) + 2 * 500 * 96);
  assert.deepEqual([mixed.heavyTokens, mixed.allDense], [(12 + 500) / 2, false]);
  const shares = Float32Array.of(0.5, 1.5, 1, 1);
  const shared = stepTraffic(
    open("double-sparsity", { calibration: { ...facts, shares } }),
    config,
    "f16",
    500,
  );
  // 4 forced; 8 free times the share.
  assert.equal(shared.heavyTokens, (8 + 16 + 12 + 12) / 4);
});

test("stepTraffic() counts the keys the oracle reads, the labels of paper and the rows of streaming-llm", () => {
  const oracle = stepTraffic(open("oracle"), config, "f16", 500);
  assert.equal(oracle.bytes, 2 * 2 * (500 * 48 + 12 * 96));
  // 6 channels of 4 bits, and 4 bytes of scale and minimum.
  const paper = stepTraffic(open("paper"), config, "f16", 500);
  assert.equal(paper.bytes, 2 * 4 * (500 * (3 + 4) + 12 * 96));
  assert.equal(paper.heavyTokens, 12);
  assert.equal(stepTraffic(open("streaming-llm"), config, "f16", 500).bytes, 2 * 2 * 12 * 96);
});

test("runTraffic() averages steps and counts the ones that fell back to dense", () => {
  const attention = open("double-sparsity", { denseBelow: 100 });
  const run = runTraffic(attention, config, "f16", [98, 99, 100, 101])!;
  assert.equal(run.denseFallbackSteps, 2);
  assert.equal(run.denseKvBytesPerToken, 4 * 99.5 * 96);
  assert.equal(run.heavyTokens, (98 + 99 + 12 + 12) / 4);
  const bytes = 4 * (98 * 96 + 99 * 96 + (100 * 8 + 12 * 96) + (101 * 8 + 12 * 96));
  assert.equal(run.kvBytesPerToken, bytes / 4);
  assert.equal(runTraffic(open("dense"), config, "f16", [98, 99])!.denseFallbackSteps, 0);
  assert.equal(runTraffic(attention, config, "f16", []), null);
});

test("weightTraffic() leaves out what is only gathered", async () => {
  const untied = await tinyModel(1, { headDim: 24, context: 128, tied: false });
  const D = 32, F = 48, V = 288, heads = 4 * 24, kv = 2 * 24;
  const layer = (heads + 2 * kv) * D + D * heads + 3 * F * D + 2 * D;
  assert.equal(weightTraffic(untied.backend, untied.weights), 4 * (2 * layer + D + V * D));
  assert.equal(weightTraffic(model.backend, model.weights), 4 * (2 * layer + D + V * D));
});
