import assert from "node:assert/strict";
import { test } from "node:test";
import { calibrationFacts } from "../../../calibrations/facts.ts";
import { type Budget, headTokens } from "../../../core/attention/budget.ts";
import { DoubleSparsityAttention, type SparseOptions } from "../../../core/attention/double_sparsity.ts";
import { type AttentionOptions, openAttention } from "../../../core/attention/open.ts";
import type { StepRows } from "../../../core/backend.ts";
import { parseLabelLayout } from "../../../core/labels.ts";
import { consecutiveRows, type Model } from "../../../core/model.ts";
import { downloadInts } from "../../../core/tensor_io.ts";
import { openBackend } from "../../../backends/mod.ts";
import {
  attendTo,
  attentionWeights,
  syntheticCache,
  syntheticLabels,
  syntheticLayer,
} from "../../support/synthetic_layer.ts";
import {
  cacheOf,
  calibrated,
  counted,
  denseLogits,
  denseOf,
  forward,
  randomIds,
  rowOf,
  SPARSE,
  tinyModel,
} from "../../support/tiny_model.ts";

const N = 160;
const SIZES = { context: 224 };
const LAYOUT = parseLabelLayout("8x4");
const IDS = randomIds(11, N);

async function setUp(seed = 1) {
  const model = await tinyModel(seed, SIZES);
  const calibration = await calibrated(model, [randomIds(12, 128)]);
  return { model, facts: calibrationFacts(calibration, LAYOUT) };
}

type Facts = Awaited<ReturnType<typeof setUp>>["facts"];

/** Logits of the last token, decoded after a dense prefill of the others. */
async function decodeLast(
  model: Model,
  facts: Facts,
  options: Partial<AttentionOptions> = {},
  ids: readonly number[] = IDS,
): Promise<Float32Array> {
  const cache = cacheOf(model, ids.length, facts.labels);
  await forward(model, cache, consecutiveRows(ids.slice(0, -1), 0), denseOf(model));
  const attention = openAttention("double-sparsity", model.backend, model.config, {
    ...SPARSE,
    calibration: facts,
    ...options,
  }, cache.capacity);
  const logits = await forward(model, cache, consecutiveRows(ids.slice(-1), ids.length - 1), attention);
  attention.free();
  cache.free();
  return logits;
}

const tokens = (heavyTokens: number): Budget => ({ kind: "tokens", heavyTokens });

for (const perHead of [false, true]) {
  const sets = perHead ? "per head" : "per group";
  test(`DoubleSparsityAttention gives dense attention's bits when k >= N, ${sets}`, async () => {
    const { model, facts } = await setUp();
    const dense = rowOf(await denseLogits(model, IDS), N - 1);
    for (const tail of [true, false]) {
      const full = await decodeLast(model, facts, { perHead, tail, budget: tokens(N) });
      assert.deepEqual(full, dense);
      const infinite = {
        ...facts,
        shares: new Float32Array(model.config.numLayers * model.config.numKvHeads).fill(Infinity),
      };
      assert.deepEqual(await decodeLast(model, infinite, { perHead, tail }), dense);
      assert.notDeepEqual(await decodeLast(model, facts, { perHead, tail }), dense);
    }
    await model.backend.close();
  });

  test(`DoubleSparsityAttention gives dense attention's bits when the sparse ops select all, ${sets}`, async () => {
    const layer = await syntheticLayer(21, { positions: [200], length: 256 });
    const labels = syntheticLabels(layer, parseLabelLayout("8x4+16x2"));
    const cache = syntheticCache(layer, labels);
    const { backend, config } = layer;
    const dense = await attendTo(layer, cache, denseOf({ backend, config } as Model));
    // One head stays sparse, so the layer is not dense as a whole and the ops of the sparse path run for all.
    const shares = Float32Array.of(1, Infinity);
    const options = sparse({ budget: tokens(24), shares, perHead, layout: labels.layout, tail: true });
    const own = new DoubleSparsityAttention(backend, config, options, cache.capacity);
    const { heads, selected } = await attendTo(layer, cache, own);
    const perSet = perHead ? 1 : 2;
    assert.equal(selected![0][0].length, 24);
    assert.equal(selected![0][3 / perSet | 0].length, 201);
    assert.notDeepEqual(heads.slice(0, 2 * 64), dense.heads.slice(0, 2 * 64));
    assert.deepEqual(heads.slice(2 * 64), dense.heads.slice(2 * 64));
    await backend.close();
  });
}

test("DoubleSparsityAttention gives dense attention's bits when the sequence is below denseBelow or all layers are dense", async () => {
  const { model, facts } = await setUp();
  const dense = rowOf(await denseLogits(model, IDS), N - 1);
  assert.deepEqual(await decodeLast(model, facts, { denseBelow: N + 1 }), dense);
  assert.notDeepEqual(await decodeLast(model, facts, { denseBelow: N }), dense);
  assert.deepEqual(await decodeLast(model, { ...facts, denseLayers: [0, 1] }), dense);
  assert.notDeepEqual(await decodeLast(model, { ...facts, denseLayers: [0] }), dense);
  assert.notDeepEqual(await decodeLast(model, { ...facts, denseLayers: [1] }), dense);
  await model.backend.close();
});

test("DoubleSparsityAttention decides sequence by sequence when a step holds a short and a long one", async () => {
  const { model, facts } = await setUp();
  const short = randomIds(13, 40);
  const options = { denseBelow: 41 };
  const cache = cacheOf(model, N, facts.labels, 2);
  await forward(model, cache, consecutiveRows(short.slice(0, -1), 0, 0), denseOf(model));
  await forward(model, cache, consecutiveRows(IDS.slice(0, -1), 0, 1), denseOf(model));
  const rows: StepRows = {
    tokens: Int32Array.of(short[39], IDS[N - 1]),
    slots: Int32Array.of(0, 1),
    positions: Int32Array.of(39, N - 1),
    homes: Int32Array.of(39, N - 1),
  };
  const attention = openAttention("double-sparsity", model.backend, model.config, {
    ...SPARSE,
    ...options,
    calibration: facts,
  }, N);
  const both = await forward(model, cache, rows, attention);
  assert.deepEqual(rowOf(both, 0), rowOf(await denseLogits(model, short), 39));
  assert.deepEqual(rowOf(both, 1), await decodeLast(model, facts, options));
  assert.notDeepEqual(rowOf(both, 1), rowOf(await denseLogits(model, IDS), N - 1));
  await model.backend.close();
});

test("DoubleSparsityAttention gives the same logits when it is cut back and decoded again", async () => {
  const { model, facts } = await setUp(2);
  const cache = cacheOf(model, N, facts.labels);
  const attention = openAttention("double-sparsity", model.backend, model.config, {
    ...SPARSE,
    calibration: facts,
  }, N);
  // Across the value sums' steps of 64 tokens.
  const first = 100;
  await forward(model, cache, consecutiveRows(IDS.slice(0, first), 0), denseOf(model));
  const decode = async (ids: readonly number[]) => {
    attention.truncate(first);
    const rows: Float32Array[] = [];
    for (let i = 0; i < ids.length; i++) {
      rows.push(await forward(model, cache, consecutiveRows([ids[i]], first + i), attention));
    }
    return rows;
  };
  const continuation = IDS.slice(first, first + 50);
  const fresh = await decode(continuation);
  assert.notDeepEqual(await decode(randomIds(14, 50)), fresh);
  assert.deepEqual(await decode(continuation), fresh);
  await model.backend.close();
});

test("DoubleSparsityAttention reads what its budget says when shares differ by head", async () => {
  const layer = await syntheticLayer(22);
  const labels = syntheticLabels(layer, parseLabelLayout("8x4+16x2"));
  const cache = syntheticCache(layer, labels);
  const { backend, config, rows } = layer;
  const budget: Budget = { kind: "ratio", tokenSparsity: 1 / 8 };
  const forced = { sinkTokens: 4, recentTokens: 16 };
  const shares = Float32Array.of(0.5, 1.5);
  for (const perHead of [false, true]) {
    const options = sparse({ budget, forced, shares, perHead, layout: labels.layout });
    const attention = new DoubleSparsityAttention(backend, config, options, cache.capacity);
    const { selected } = await attendTo(layer, cache, attention);
    rows.positions.forEach((position, t) => {
      let read = 0;
      selected![t].forEach((places, s) => {
        const head = perHead ? Math.floor(s / 2) : s;
        assert.equal(places.length, headTokens(budget, forced, shares[head], position + 1));
        assert.deepEqual(places, [...places].sort((a, b) => a - b));
        assert.equal(new Set(places).size, places.length);
        for (const n of [0, 1, 2, 3, ...Array.from({ length: 17 }, (_, i) => position - i)]) {
          assert.ok(places.includes(n), `row ${t} set ${s} leaves out ${n}`);
        }
        read += places.length;
      });
      const reads = attention.reads(0, position + 1);
      assert.equal(reads.rows, read);
      assert.equal(reads.tokens, read / selected![t].length);
      assert.equal(reads.dense, false);
    });
    attention.free();
  }
  await backend.close();
});

test("DoubleSparsityAttention selects a needle when it shows on a heavy channel alone", async () => {
  const at = 77;
  const layer = await syntheticLayer(23);
  const { config: { numHeads: Hq, numKvHeads: Hk, headDim: d }, keys, qkv, ranking, rows, backend } = layer;
  for (let h = 0; h < Hk; h++) {
    const channel = ranking[h][0];
    keys[h][at * d + channel] = 14;
    rows.positions.forEach((_, t) => {
      for (let head = h * 2; head < h * 2 + 2; head++) qkv[(t * (Hq + 2 * Hk) + head) * d + channel] = 30;
    });
  }
  const labels = syntheticLabels(layer, parseLabelLayout("8x4+16x2"));
  const cache = syntheticCache(layer, labels);
  for (const perHead of [false, true]) {
    const options = sparse({ budget: tokens(16), perHead, layout: labels.layout });
    const attention = new DoubleSparsityAttention(backend, layer.config, options, cache.capacity);
    const { selected } = await attendTo(layer, cache, attention);
    rows.positions.forEach((_, t) => {
      selected![t].forEach((places, s) => assert.ok(places.includes(at), `row ${t} set ${s}`));
    });
  }
  await backend.close();
});

test("the tail brings the output nearer to dense attention's", async () => {
  const layer = await syntheticLayer(24, { positions: [511, 480, 450, 400, 390, 300, 280, 257] });
  const labels = syntheticLabels(layer, parseLabelLayout("16x4+32x2"));
  const cache = syntheticCache(layer, labels);
  const { backend, config } = layer;
  const dense = await attendTo(layer, cache, denseOf({ backend, config } as Model));
  const errorOf = async (tail: boolean) => {
    const options = sparse({ budget: tokens(64), tail, layout: labels.layout });
    const { heads } = await attendTo(
      layer,
      cache,
      new DoubleSparsityAttention(backend, config, options, cache.capacity),
    );
    return heads.reduce((sum, value, i) => sum + (value - dense.heads[i]) ** 2, 0);
  };
  const [withTail, without] = [await errorOf(true), await errorOf(false)];
  assert.ok(withTail < 0.9 * without, `${withTail} with, ${without} without`);
  await backend.close();
});

test("without a tail the output is softmax over the selected tokens", async () => {
  const layer = await syntheticLayer(25, { positions: [300, 200] });
  const labels = syntheticLabels(layer, LAYOUT);
  const cache = syntheticCache(layer, labels);
  const { backend, config: { headDim: d, numHeads: Hq }, rows, values } = layer;
  const attention = new DoubleSparsityAttention(
    backend,
    layer.config,
    sparse({ budget: tokens(32), layout: LAYOUT }),
    cache.capacity,
  );
  const { heads, selected } = await attendTo(layer, cache, attention);
  for (let t = 0; t < rows.positions.length; t++) {
    for (let head = 0; head < Hq; head++) {
      const weights = attentionWeights(layer, t, head);
      const places = selected![t][head >> 1];
      const mass = places.reduce((sum, n) => sum + weights[n], 0);
      for (let c = 0; c < d; c++) {
        const expected = places.reduce((sum, n) => sum + weights[n] * values[head >> 1][n * d + c], 0) / mass;
        assert.ok(Math.abs(heads[(t * Hq + head) * d + c] - expected) < 1e-5);
      }
    }
  }
  await backend.close();
});

test("free() gives every buffer back when row counts changed on the way", async () => {
  const { backend, live } = counted(await openBackend("reference"));
  const model = await tinyModel(3, SIZES, backend);
  const facts = calibrationFacts(await calibrated(model, [randomIds(12, 64)]), LAYOUT);
  const cache = cacheOf(model, 64, facts.labels);
  const attention = openAttention("double-sparsity", backend, model.config, {
    ...SPARSE,
    calibration: facts,
  }, 64);
  await forward(model, cache, consecutiveRows(IDS.slice(0, 40), 0), denseOf(model));
  await forward(model, cache, consecutiveRows(IDS.slice(40, 44), 40), attention);
  await forward(model, cache, consecutiveRows(IDS.slice(44, 45), 44), attention);
  assert.equal((await downloadInts(backend, attention.lastSelection!.counts)).length, 2);
  attention.free();
  cache.free();
  model.free();
  assert.equal(live.size, 0);
  await backend.close();
});

function sparse(other: Partial<SparseOptions>): SparseOptions {
  return {
    budget: tokens(16),
    forced: { sinkTokens: 1, recentTokens: 2 },
    shares: null,
    perHead: false,
    tail: false,
    layout: LAYOUT,
    denseLayers: [],
    denseBelow: 0,
    ...other,
  };
}
