import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DoubleSparsityAttention, type SparseOptions } from "../../../core/attention/double_sparsity.ts";
import { OracleAttention } from "../../../core/attention/oracle.ts";
import type { LabelLayout } from "../../../core/backend.ts";
import { RecallMeter } from "../../../core/evaluation/recall.ts";
import { importance, IMPORTANCE_TABLE, importanceScale } from "../../../core/importance.ts";
import { parseLabelLayout } from "../../../core/labels.ts";
import {
  attendTo,
  attentionWeights,
  syntheticCache,
  syntheticLabels,
  type SyntheticLayer,
  syntheticLayer,
} from "../../support/synthetic_layer.ts";

const NO_LABELS: LabelLayout = { wide: 0, narrow: 0 };

function options(layout: LabelLayout, other: Partial<SparseOptions> = {}): SparseOptions {
  return {
    budget: { kind: "ratio", tokenSparsity: 1 / 16 },
    forced: { sinkTokens: 1, recentTokens: 2 },
    shares: null,
    perHead: false,
    tail: false,
    layout,
    denseLayers: [],
    denseBelow: 0,
    ...other,
  };
}

/** Mass of the best set of `count` tokens that holds the forced ones, by the mean weight of these heads. */
function bestMass(weights: number[][], count: number, forced: (n: number) => boolean): number {
  const mean = weights[0].map((_, n) => weights.reduce((sum, head) => sum + head[n], 0) / weights.length);
  const order = mean.map((_, n) => n).sort((a, b) =>
    Number(forced(b)) - Number(forced(a)) || mean[b] - mean[a]
  );
  return order.slice(0, count).reduce((sum, n) => sum + mean[n], 0);
}

async function assertBest(layer: SyntheticLayer, perHead: boolean): Promise<void> {
  const { config: { numHeads: Hq, numKvHeads: Hk }, rows } = layer;
  const cache = syntheticCache(layer, null);
  const oracle = new OracleAttention(
    layer.backend,
    layer.config,
    options(NO_LABELS, { perHead }),
    cache.capacity,
  );
  const { selected } = await attendTo(layer, cache, oracle);
  const sets = perHead ? Hq : Hk;
  rows.positions.forEach((position, t) => {
    const isForced = (n: number) => n < 1 || n >= position - 2;
    for (let s = 0; s < sets; s++) {
      // The importance of a group: each head's weights relative to its own largest.
      const heads = Array.from(
        { length: Hq / sets },
        (_, i) => attentionWeights(layer, t, s * (Hq / sets) + i),
      );
      const relative = heads.map((weights) => weights.map((weight) => weight / Math.max(...weights)));
      const chosen = selected![t][s];
      const mass = chosen.reduce(
        (sum, n) => sum + relative.reduce((all, head) => all + head[n], 0) / relative.length,
        0,
      );
      const best = bestMass(relative, chosen.length, isForced);
      assert.ok(mass > best * 0.997, `row ${t} set ${s}: ${mass} of ${best}`);
      assert.deepEqual(chosen.filter(isForced), relative[0].map((_, n) => n).filter(isForced));
    }
  });
  await layer.backend.close();
}

for (const perHead of [false, true]) {
  test(`OracleAttention selects the heaviest tokens when sets are per ${perHead ? "head" : "group"}`, async () => {
    await assertBest(await syntheticLayer(3), perHead);
  });
}

test("OracleAttention selects the heaviest tokens when all logits nearly agree", async () => {
  await assertBest(await syntheticLayer(4, { keyScale: 0.004 }), true);
});

test("OracleAttention selects the heaviest tokens when logits are in the thousands", async () => {
  await assertBest(await syntheticLayer(5, { keyScale: 300 }), false);
});

test("OracleAttention gives the mean of the values when all keys are zero", async () => {
  const layer = await syntheticLayer(6, { keyScale: 0, positions: [63] });
  const cache = syntheticCache(layer, null);
  const all = options(NO_LABELS, { budget: { kind: "tokens", heavyTokens: 1000 } });
  const { heads } = await attendTo(
    layer,
    cache,
    new OracleAttention(layer.backend, layer.config, all, cache.capacity),
  );
  for (let c = 0; c < 64; c++) {
    let mean = 0;
    for (let n = 0; n < 64; n++) mean += layer.values[0][n * 64 + c] / 64;
    assert.ok(Math.abs(heads[c] - mean) < 1e-6);
  }
  await layer.backend.close();
});

test("recall rises with the bytes of the labels and reaches the oracle's when every channel is wide", async () => {
  const layer = await syntheticLayer(7, {
    length: 1024,
    positions: Array.from({ length: 24 }, (_, i) => 1023 - 17 * i),
  });
  const { backend, config, rows } = layer;
  const recallOf = async (layout: LabelLayout | null) => {
    const cache = syntheticCache(layer, layout && syntheticLabels(layer, layout));
    const attention = layout === null
      ? new OracleAttention(backend, config, options(NO_LABELS), cache.capacity)
      : new DoubleSparsityAttention(backend, config, options(layout), cache.capacity);
    const { qkv } = await attendTo(layer, cache, attention);
    const meter = new RecallMeter(backend, config);
    await meter.measure(0, qkv, cache.layers[0], rows, attention.lastSelection!);
    attention.free();
    cache.free();
    return meter.overall!;
  };
  const oracle = await recallOf(null);
  const recalls: number[] = [];
  for (const layout of ["8x4", "8x4+16x2", "16x4+32x2", "64x4"]) {
    recalls.push(await recallOf(parseLabelLayout(layout)));
  }
  const shown = `${recalls.map((recall) => recall.toFixed(4)).join(" ")}, oracle ${oracle.toFixed(4)}`;
  for (let i = 1; i < recalls.length; i++) assert.ok(recalls[i] > recalls[i - 1] + 0.002, shown);
  assert.ok(recalls[0] > 0.3, shown);
  assert.ok(oracle < 0.999, shown);
  assert.ok(Math.abs(recalls[3] - oracle) < 0.01 * oracle, shown);
  await backend.close();
});

test("importance() is the big-integer rule when scores are as wide as the oracle's", () => {
  const cases = fc.record({
    z: fc.integer({ min: 2 ** 19, max: 2 ** 24 }),
    d: fc.integer({ min: 1, max: 512 }),
    e: fc.integer({ min: -60, max: 40 }),
  });
  fc.assert(fc.property(cases, ({ z, d, e }) => {
    const scale = importanceScale(d, e);
    const product = BigInt(z) * BigInt(scale.multiplier);
    const shift = BigInt(scale.shift);
    const y = scale.shift >= 32 ? 0n : shift >= 0n ? product >> shift : product << -shift;
    const wanted = y >= 6400n ? 0n : BigInt(IMPORTANCE_TABLE[Number(y % 256n)]) >> (y / 256n);
    assert.equal(importance(z, scale), Number(wanted));
  }));
});
