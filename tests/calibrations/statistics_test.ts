import assert from "node:assert/strict";
import { test } from "node:test";
import { ChannelStatistics } from "../../calibrations/statistics.ts";
import { consecutiveRows } from "../../core/model.ts";
import { downloadFloats } from "../../core/tensor_io.ts";
import { cacheOf, denseOf, forward, randomIds, tinyModel } from "../support/tiny_model.ts";

// L 2, Hq 4, Hk 2, d 8.
const model = await tinyModel(1, { context: 80 });
const { config } = model;
const BLOCKS = [randomIds(1, 80), randomIds(2, 70)];

/** qkv of every block and layer, f32 [N, 8, 8]. */
const tapped: Float32Array[][] = [];
for (const block of BLOCKS) {
  const layers: Float32Array[] = [];
  const cache = cacheOf(model, block.length);
  await forward(model, cache, consecutiveRows(block, 0), denseOf(model), {
    tap: {
      qkv: async (layer, qkv) => {
        layers[layer] = await downloadFloats(model.backend, qkv);
      },
    },
  });
  cache.free();
  tapped.push(layers);
}

/** Statistics fed in pieces, as prefill chunks come. */
function gathered(): ChannelStatistics {
  const statistics = new ChannelStatistics(config);
  for (const layers of tapped) {
    for (let first = 0; first < layers[0].length / 64; first += 33) {
      layers.forEach((qkv, l) => statistics.add(l, qkv.subarray(first * 64, (first + 33) * 64), first));
    }
  }
  return statistics;
}

/** Every (q, k) of a layer: q of one query head and channel, k of its KV head. */
function pairs(layer: number, head: number, c: number): { q: number; k: number }[] {
  return tapped.flatMap((layers) => {
    const qkv = layers[layer];
    return Array.from({ length: qkv.length / 64 }, (_, n) => ({
      q: qkv[n * 64 + head * 8 + c],
      k: qkv[n * 64 + (4 + Math.floor(head / 2)) * 8 + c],
    }));
  });
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const near = (actual: number, expected: number, tolerance = 1e-12) =>
  assert.ok(Math.abs(actual - expected) <= tolerance * Math.abs(expected), `${actual}, wanted ${expected}`);

test("perHead() is the mean of |q| and of |q·k| over all tokens of all blocks", () => {
  const statistics = gathered();
  for (let layer = 0; layer < 2; layer++) {
    for (let head = 0; head < 4; head++) {
      for (let c = 0; c < 8; c++) {
        const at = (layer * 4 + head) * 8 + c;
        near(statistics.perHead("q")[at], mean(pairs(layer, head, c).map(({ q }) => Math.abs(q))));
        near(statistics.perHead("qk")[at], mean(pairs(layer, head, c).map(({ q, k }) => Math.abs(q * k))));
      }
    }
  }
});

test("perKvHead() sums over the query heads of the group", () => {
  const statistics = gathered();
  for (let layer = 0; layer < 2; layer++) {
    for (let h = 0; h < 2; h++) {
      for (let c = 0; c < 8; c++) {
        const at = (layer * 2 + h) * 8 + c;
        const of = (value: (pair: { q: number; k: number }) => number) =>
          mean(pairs(layer, 2 * h, c).map(value)) + mean(pairs(layer, 2 * h + 1, c).map(value));
        near(statistics.perKvHead("qk2")[at], of(({ q, k }) => (q * k) ** 2));
        near(statistics.perKvHead("qk")[at], of(({ q, k }) => Math.abs(q * k)));
        near(statistics.perKvHead("q")[at], of(({ q }) => Math.abs(q)));
        near(statistics.perKvHead("k")[at], mean(pairs(layer, 2 * h, c).map(({ k }) => Math.abs(k))));
      }
    }
  }
});

test("keyMoments() leaves out the first four tokens of every block", () => {
  const { mean: means, std } = gathered().keyMoments();
  for (let layer = 0; layer < 2; layer++) {
    for (let h = 0; h < 2; h++) {
      for (let c = 0; c < 8; c++) {
        const keys = pairs(layer, 2 * h, c).map(({ k }) => k).filter((_, n) =>
          n >= 4 && !(n >= 80 && n < 84)
        );
        assert.equal(keys.length, 76 + 66);
        const at = (layer * 2 + h) * 8 + c;
        near(means[at], mean(keys), 1e-6);
        near(std[at], Math.sqrt(mean(keys.map((k) => (k - mean(keys)) ** 2))), 1e-6);
      }
    }
  }
});

test("add() gives the same bits when a block comes in other pieces", () => {
  const whole = new ChannelStatistics(config);
  for (const layers of tapped) layers.forEach((qkv, l) => whole.add(l, qkv, 0));
  const pieces = gathered();
  for (const statistic of ["qk2", "qk", "q", "k"] as const) {
    assert.deepEqual(pieces.perKvHead(statistic), whole.perKvHead(statistic));
  }
  assert.deepEqual(pieces.keyMoments(), whole.keyMoments());
  assert.deepEqual([...whole.tokens], [150, 150]);
});
