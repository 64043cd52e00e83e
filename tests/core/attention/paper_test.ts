import assert from "node:assert/strict";
import { test } from "node:test";
import { openAttention } from "../../../core/attention/open.ts";
import { PaperAttention } from "../../../core/attention/paper.ts";
import {
  attendTo,
  attentionWeights,
  syntheticCache,
  type SyntheticLayer,
  syntheticLayer,
} from "../../support/synthetic_layer.ts";
import { below, seededRandom } from "../../support/seeded_random.ts";
import { SPARSE } from "../../support/tiny_model.ts";

/** Another order of channels for every query head. */
function rankingOf(seed: number, { config: { numHeads, headDim } }: SyntheticLayer): Uint8Array {
  const random = seededRandom(seed);
  const ranking = new Uint8Array(numHeads * headDim);
  for (let h = 0; h < numHeads; h++) {
    const order = Array.from({ length: headDim }, (_, c) => c);
    for (let i = headDim - 1; i > 0; i--) {
      const j = below(random, i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    ranking.set(order, h * headDim);
  }
  return ranking;
}

/** 4-bit codes between the least and the largest of these values, read back. */
function fourBits(values: readonly number[]): number[] {
  const low = Math.min(...values);
  const step = (Math.max(...values) - low) / 15;
  return values.map((value) => low + step * Math.round((value - low) / step));
}

/** The k largest approximate scores of one row and query head, ascending. */
function plainSelection(
  layer: SyntheticLayer,
  ranking: Uint8Array,
  t: number,
  head: number,
  k: number,
): number[] {
  const { config: { numHeads: Hq, numKvHeads: Hk, headDim: d }, keys, qkv, rows } = layer;
  const channels = [...ranking.subarray(head * d, head * d + d / 4)];
  const q = (t * (Hq + 2 * Hk) + head) * d;
  const query = fourBits(channels.map((c) => qkv[q + c]));
  const key = keys[Math.floor(head / (Hq / Hk))];
  const scores = Array.from({ length: rows.positions[t] + 1 }, (_, n) => {
    const label = fourBits(channels.map((c) => key[n * d + c]));
    return label.reduce((sum, value, j) => sum + value * query[j], 0);
  });
  const order = scores.map((_, n) => n).sort((a, b) => scores[b] - scores[a] || a - b);
  return order.slice(0, k).sort((a, b) => a - b);
}

test("PaperAttention selects by 4-bit labels and query of each query head's own channels", async () => {
  const layer = await syntheticLayer(31, { length: 300 });
  const { backend, config, rows } = layer;
  const ranking = rankingOf(32, layer);
  const cache = syntheticCache(layer, null);
  const budget = { kind: "ratio", tokenSparsity: 1 / 10 } as const;
  const paper = new PaperAttention(backend, config, budget, cache.capacity, ranking);
  const { heads, selected } = await attendTo(layer, cache, paper);
  let forced = 0;
  rows.positions.forEach((position, t) => {
    const k = Math.ceil((position + 1) / 10);
    for (let h = 0; h < config.numHeads; h++) {
      assert.deepEqual(selected![t][h], plainSelection(layer, ranking, t, h, k), `row ${t} head ${h}`);
      if (selected![t][h].includes(0) && selected![t][h].includes(position)) forced++;
      const weights = attentionWeights(layer, t, h);
      const mass = selected![t][h].reduce((sum, n) => sum + weights[n], 0);
      const value = layer.values[h >> 1];
      const first = selected![t][h].reduce((sum, n) => sum + weights[n] * value[n * 64], 0) / mass;
      assert.ok(Math.abs(heads[(t * config.numHeads + h) * 64] - first) < 1e-5);
    }
  });
  assert.ok(forced < 6, "the first and the newest token must not always be selected");
  await backend.close();
});

test("PaperAttention selects the same when it learns the keys step by step, and after being cut back", async () => {
  const layer = await syntheticLayer(33, { length: 200, positions: [150, 199, 100] });
  const { backend, config } = layer;
  const ranking = rankingOf(34, layer);
  const cache = syntheticCache(layer, null);
  const budget = { kind: "tokens", heavyTokens: 20 } as const;
  const all = await attendTo(
    layer,
    cache,
    new PaperAttention(backend, config, budget, cache.capacity, ranking),
  );
  const paper = new PaperAttention(backend, config, budget, cache.capacity, ranking);
  const one = (t: number): SyntheticLayer => ({
    ...layer,
    qkv: layer.qkv.slice(t * 8 * 64, (t + 1) * 8 * 64),
    rows: {
      tokens: layer.rows.tokens.slice(t, t + 1),
      slots: layer.rows.slots.slice(t, t + 1),
      positions: layer.rows.positions.slice(t, t + 1),
      homes: layer.rows.homes.slice(t, t + 1),
    },
  });
  for (const t of [2, 0, 1, 2]) {
    const { selected } = await attendTo(one(t), cache, paper);
    assert.deepEqual(selected![0], all.selected![t]);
  }

  const other = await syntheticLayer(35, { length: 200, positions: [150] });
  const otherCache = syntheticCache(other, null);
  const fresh = new PaperAttention(other.backend, other.config, budget, otherCache.capacity, ranking);
  const wanted = (await attendTo(other, otherCache, fresh)).selected;
  const moved = syntheticCache({ ...other, backend }, null);
  paper.truncate(0);
  assert.deepEqual((await attendTo({ ...other, backend }, moved, paper)).selected, wanted);
  await other.backend.close();
  await backend.close();
});

test("openAttention() runs every layer sparse when the mode is paper, whatever the calibration keeps dense", async () => {
  const layer = await syntheticLayer(36, { length: 128, positions: [127] });
  const { backend, config } = layer;
  const calibration = {
    labels: null,
    shares: Float32Array.of(3, 3),
    denseLayers: [0],
    queryHeadRanking: rankingOf(37, layer),
  };
  const cache = syntheticCache(layer, null);
  const options = { ...SPARSE, calibration, denseBelow: 1000 };
  const paper = openAttention("paper", backend, config, options, cache.capacity);
  const { selected } = await attendTo(layer, cache, paper);
  assert.deepEqual(selected![0].map((places) => places.length), [12, 12, 12, 12]);
  assert.equal(paper.reads(0, 128).rows, 4 * 12);
  assert.equal(paper.reads(0, 128).tokens, 12);
  assert.equal(paper.reads(0, 12).dense, true);
  await backend.close();
});
