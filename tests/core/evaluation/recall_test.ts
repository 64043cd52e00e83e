import assert from "node:assert/strict";
import { test } from "node:test";
import { DoubleSparsityAttention } from "../../../core/attention/double_sparsity.ts";
import { PaperAttention } from "../../../core/attention/paper.ts";
import { RecallMeter } from "../../../core/evaluation/recall.ts";
import {
  attendTo,
  attentionWeights,
  syntheticCache,
  syntheticLabels,
  syntheticLayer,
} from "../../support/synthetic_layer.ts";

const LAYOUT = { wide: 8, narrow: 16 };

for (const perHead of [false, true]) {
  test(`measure() averages the mass of the selected tokens when sets are per ${perHead ? "head" : "group"}`, async () => {
    const layer = await syntheticLayer(51, { length: 200, positions: [199, 150, 100, 64, 30] });
    const { backend, config } = layer;
    const labels = syntheticLabels(layer, LAYOUT);
    const cache = syntheticCache(layer, labels);
    const budget = { kind: "tokens", heavyTokens: 20 } as const;
    const attention = perHead
      ? new PaperAttention(
        backend,
        config,
        budget,
        cache.capacity,
        Uint8Array.from({ length: 256 }, (_, i) => i % 64),
      )
      : new DoubleSparsityAttention(backend, config, {
        budget,
        forced: { sinkTokens: 1, recentTokens: 2 },
        shares: null,
        perHead,
        tail: true,
        layout: LAYOUT,
        denseLayers: [],
        denseBelow: 0,
      }, cache.capacity);
    const { selected, qkv } = await attendTo(layer, cache, attention);
    const byHand = (kvHead: number, every: number) => {
      const shares: number[] = [];
      for (let t = 0; t < 5; t += every) {
        let share = 0;
        for (const head of [2 * kvHead, 2 * kvHead + 1]) {
          const weights = attentionWeights(layer, t, head);
          share += selected![t][perHead ? head : kvHead].reduce((sum, n) => sum + weights[n], 0) / 2;
        }
        shares.push(share);
      }
      return shares.reduce((a, b) => a + b) / shares.length;
    };
    for (const every of [1, 2]) {
      const meter = new RecallMeter(backend, config);
      assert.equal(meter.overall, null);
      await meter.measure(0, qkv, cache.layers[0], layer.rows, attention.lastSelection!, every);
      for (const h of [0, 1]) {
        assert.ok(Math.abs(meter.means[h].mean - byHand(h, every)) < 1e-6);
        assert.equal(meter.means[h].count, Math.ceil(5 / every));
      }
      assert.ok(Math.abs(meter.overall! - (byHand(0, every) + byHand(1, every)) / 2) < 1e-6);
    }
    await backend.close();
  });
}
