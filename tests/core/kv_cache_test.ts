import assert from "node:assert/strict";
import { test } from "node:test";
import { openBackend } from "../../backends/mod.ts";
import { calibrationFacts } from "../../calibrations/facts.ts";
import { DsError } from "../../core/errors.ts";
import { KvCache } from "../../core/kv_cache.ts";
import { parseLabelLayout } from "../../core/labels.ts";
import { downloadFloats, downloadInts } from "../../core/tensor_io.ts";
import { cacheOf, calibrated, counted, randomIds, tinyModel } from "../support/tiny_model.ts";

const { backend, live } = counted(await openBackend("reference"));
const model = await tinyModel(1, { context: 128, headDim: 24 }, backend);
const calibration = await calibrated(model, [randomIds(1, 100)]);
const { labels } = calibrationFacts(calibration, parseLabelLayout("8x4+16x2"));

test("alloc() gives every layer its shapes, with the labels' channels and quantisers in place", async () => {
  const cache = KvCache.alloc(backend, model.config, { slots: 3, capacity: 70, dtype: "f16", labels });
  assert.equal(cache.slots, 3);
  assert.equal(cache.capacity, 70);
  assert.equal(cache.layers.length, 2);
  for (const [l, layer] of cache.layers.entries()) {
    assert.equal(layer.kv.dtype, "f16");
    assert.deepEqual(layer.kv.shape, [3, 2, 70, 2, 24]);
    assert.deepEqual(layer.labels!.words.shape, [3, 2, 70, 2]);
    assert.deepEqual(layer.labels!.valueSums.shape, [3, 2, 2, 24]);
    const plan = labels!.layers[l];
    assert.deepEqual(await downloadInts(backend, layer.labels!.channels), plan.channels);
    assert.deepEqual(await downloadFloats(backend, layer.labels!.zero), plan.zero);
    assert.deepEqual(await downloadFloats(backend, layer.labels!.step), plan.step);
    assert.deepEqual(await downloadFloats(backend, layer.labels!.inverseStep), plan.inverseStep);
  }
  cache.free();
});

test("withLabels() shares K and V, and frees only what is its own", async () => {
  const before = live.size;
  const plain = cacheOf(model, 64);
  const labelled = plain.withLabels(labels);
  assert.equal(plain.layers[0].labels, null);
  for (const l of [0, 1]) assert.equal(labelled.layers[l].kv, plain.layers[l].kv);
  assert.equal(labelled.capacity, 64);
  labelled.free();
  assert.equal((await downloadFloats(backend, plain.layers[1].kv)).length, 2 * 64 * 2 * 24);
  plain.free();
  assert.equal(live.size, before);
});

test("alloc() and withLabels() leave nothing allocated when memory runs out on the way", () => {
  for (let allowed = 0; allowed < 14; allowed++) {
    const { backend: inner, live: left } = counted(backend);
    let count = 0;
    const scarce = Object.create(inner) as typeof inner;
    scarce.alloc = (spec) => {
      if (count++ === allowed) throw new DsError("out-of-memory", "Cannot hold it: nothing is left");
      return inner.alloc(spec);
    };
    const options = { slots: 1, capacity: 64, dtype: "f32", labels } as const;
    assert.throws(() => KvCache.alloc(scarce, model.config, options), DsError);
    assert.equal(left.size, 0, `after ${allowed}`);
    if (allowed < 2) continue;
    count = 0;
    const plain = KvCache.alloc(scarce, model.config, { ...options, labels: null });
    const kept = left.size;
    assert.throws(() => plain.withLabels(labels), DsError);
    assert.equal(left.size, kept, `withLabels after ${allowed}`);
    plain.free();
  }
});
