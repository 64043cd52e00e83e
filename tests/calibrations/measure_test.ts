import assert from "node:assert/strict";
import { test } from "node:test";
import { openBackend } from "../../backends/mod.ts";
import { labelPlan } from "../../calibrations/facts.ts";
import { measureBlock, MEASURED_POSITIONS } from "../../calibrations/measure.ts";
import { DEFAULT_BUDGET, DEFAULT_FORCED } from "../../core/attention/budget.ts";
import { DoubleSparsityAttention, type SparseOptions } from "../../core/attention/double_sparsity.ts";
import { klDivergence, logSoftmax } from "../../core/evaluation/metrics.ts";
import { consecutiveRows, type Model } from "../../core/model.ts";
import { downloadFloats, downloadInts } from "../../core/tensor_io.ts";
import {
  cacheOf,
  calibrated,
  counted,
  denseOf,
  forward,
  randomIds,
  tinyModel,
} from "../support/tiny_model.ts";

const N = 120;
const IDS = randomIds(7, N);
const LAYOUT = { wide: 8, narrow: 0 };
/** Where `measureBlock` looks at 4 positions of 120: the middles of quarters of the second half. */
const PLACES = [67, 82, 97, 112];
const EVEN: SparseOptions = {
  budget: DEFAULT_BUDGET,
  forced: DEFAULT_FORCED,
  shares: null,
  perHead: false,
  tail: true,
  layout: LAYOUT,
  denseLayers: [],
  denseBelow: 0,
};

async function cachedBlock(model: Model) {
  const cache = cacheOf(model, N + MEASURED_POSITIONS);
  await forward(model, cache, consecutiveRows(IDS, 0), denseOf(model));
  const labels = labelPlan(await calibrated(model, [IDS]), LAYOUT)!;
  return { block: { ids: IDS, cache }, labels };
}

test("measureBlock() gives each head the KL of making it alone sparse", async () => {
  const model = await tinyModel(8, { context: N });
  const { block, labels } = await cachedBlock(model);
  let heads = 0;
  const { headKl } = await measureBlock(model, block, labels, { positions: 4, onHead: () => void heads++ });
  assert.equal(heads, 4);
  for (let head = 0; head < 4; head++) {
    const shares = new Float32Array(4).fill(Infinity);
    shares[head] = 1;
    const attention = new DoubleSparsityAttention(model.backend, model.config, { ...EVEN, shares }, N);
    let sum = 0;
    for (const place of PLACES) {
      const cache = cacheOf(model, N, labels);
      await forward(model, cache, consecutiveRows(IDS.slice(0, place), 0), denseOf(model));
      const rows = consecutiveRows([IDS[place]], place);
      const sparse = await forward(model, cache, rows, attention);
      const dense = await forward(model, cache, rows, denseOf(model));
      sum += klDivergence(logSoftmax(dense), logSoftmax(sparse));
      cache.free();
    }
    assert.ok(sum > 0, `head ${head} must lose something`);
    assert.ok(
      Math.abs(headKl[head] - sum / 4) <= 1e-12 * sum,
      `head ${head}: ${headKl[head]}, wanted ${sum / 4}`,
    );
  }
  await model.backend.close();
});

test("measureBlock() gives each head the mass that an even budget selects", async () => {
  const model = await tinyModel(9, { context: N });
  const { backend, config: { numHeads: Hq, numKvHeads: Hk, headDim: d } } = model;
  const { block, labels } = await cachedBlock(model);
  const { layerRecall } = await measureBlock(model, block, labels, { positions: 4 });
  const sums = new Float64Array(4);
  for (const place of PLACES) {
    const cache = cacheOf(model, N, labels);
    await forward(model, cache, consecutiveRows(IDS.slice(0, place), 0), denseOf(model));
    const rows = consecutiveRows([IDS[place]], place);
    const selector = new DoubleSparsityAttention(backend, model.config, EVEN, N);
    selector.beginStep(rows);
    const out = backend.alloc({ dtype: "f32", shape: [1, Hq, d] });
    await forward(model, cache, rows, denseOf(model), {
      tap: {
        qkv: async (layer, qkv) => {
          await selector.attend(layer, out, qkv, cache.layers[layer]);
          const { indices, counts } = selector.lastSelection!;
          const [places, used] = [await downloadInts(backend, indices), await downloadInts(backend, counts)];
          const q = await downloadFloats(backend, qkv);
          const kv = await downloadFloats(backend, cache.layers[layer].kv);
          for (let head = 0; head < Hq; head++) {
            const h = Math.floor(head / (Hq / Hk));
            const weights = Array.from({ length: place + 1 }, (_, n) => {
              let sum = 0;
              for (let c = 0; c < d; c++) sum += q[head * d + c] * kv[(h * N + n) * 2 * d + c];
              return Math.exp(sum / Math.sqrt(d));
            });
            const total = weights.reduce((a, b) => a + b);
            const K = indices.shape[2];
            const chosen = [...places.subarray(h * K, h * K + used[h])];
            sums[layer * Hk + h] += chosen.reduce((sum, n) => sum + weights[n], 0) / total / (Hq / Hk) / 4;
          }
        },
      },
    });
    selector.free();
    cache.free();
  }
  sums.forEach((recall, i) => {
    assert.ok(recall < 0.999);
    assert.ok(Math.abs(layerRecall[i] - recall) < 1e-6, `head ${i}: ${layerRecall[i]}, wanted ${recall}`);
  });
  await backend.close();
});

test("measureBlock() predicts perfectly when nothing lies between a layer's attention and the next layer", async () => {
  const model = await tinyModel(10, { context: N, layers: 3 });
  const { block, labels } = await cachedBlock(model);
  const measured = await measureBlock(model, block, labels, { positions: 4 });
  const mean = (recalls: Float64Array, layer: number) => (recalls[2 * layer] + recalls[2 * layer + 1]) / 2;
  const near = (a: number, b: number) => Math.abs(a - b) < 1e-9;
  assert.ok(near(measured.predictionRecall[0], mean(measured.layerRecall, 0)));
  for (const layer of [1, 2]) {
    assert.ok(!near(measured.predictionRecall[layer], mean(measured.layerRecall, layer)));
  }

  // Without layer 1's feed-forward part, its stream after attention is what layer 2 starts from.
  const [{ weight }] = model.weights.layers[1].down;
  model.backend.upload(weight, new Uint8Array(weight.byteLength));
  const still = await cachedBlock(model);
  const silent = await measureBlock(model, still.block, still.labels, { positions: 4 });
  assert.ok(near(silent.predictionRecall[2], mean(silent.layerRecall, 2)));
  assert.ok(!near(silent.predictionRecall[1], mean(silent.layerRecall, 1)));
  await model.backend.close();
});

test("measureBlock() leaves the block's K and V as they were, and nothing allocated, also when aborted", async () => {
  const { backend, live } = counted(await openBackend("reference"));
  const model = await tinyModel(11, { context: N }, backend);
  const { block, labels } = await cachedBlock(model);
  const firstTokens = async () => (await downloadFloats(backend, block.cache.layers[1].kv)).slice(0, N * 16);
  const before = await firstTokens();
  await measureBlock(model, block, labels, { positions: 4 });
  assert.deepEqual(await firstTokens(), before);
  const level = live.size;
  await measureBlock(model, block, labels, { positions: 4 });
  assert.equal(live.size, level);
  const controller = new AbortController();
  const aborted = measureBlock(model, block, labels, {
    positions: 4,
    signal: controller.signal,
    onHead: () => controller.abort(new Error("enough")),
  });
  await assert.rejects(aborted, /enough/);
  assert.equal(live.size, level);
  await backend.close();
});
