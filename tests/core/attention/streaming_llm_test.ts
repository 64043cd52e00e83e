import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamingLlmAttention } from "../../../core/attention/streaming_llm.ts";
import { attendTo, syntheticCache, syntheticLayer } from "../../support/synthetic_layer.ts";

async function selections(heavyTokens: number): Promise<number[][][]> {
  const layer = await syntheticLayer(41, { length: 64, positions: [63, 40, 12, 3, 0] });
  const cache = syntheticCache(layer, null);
  const { backend, config } = layer;
  const budget = { kind: "tokens", heavyTokens } as const;
  const attention = new StreamingLlmAttention(backend, config, budget, cache.capacity);
  const { selected } = await attendTo(layer, cache, attention);
  assert.equal(attention.reads(0, 64).rows, 2 * heavyTokens);
  assert.equal(attention.reads(0, 64).halfRows, 0);
  await backend.close();
  return selected!;
}

const range = (first: number, end: number) => Array.from({ length: end - first }, (_, i) => first + i);

test("StreamingLlmAttention selects 4 sinks and the newest tokens, the same for every head", async () => {
  for (
    const [t, expected] of [
      [0, [0, 1, 2, 3, ...range(58, 64)]],
      [1, [0, 1, 2, 3, ...range(35, 41)]],
      [2, [0, 1, 2, 3, ...range(7, 13)]],
      [3, range(0, 4)],
      [4, [0]],
    ] as const
  ) {
    const selected = await selections(10);
    assert.deepEqual(selected[t], Array.from({ length: 4 }, () => [...expected]), `row ${t}`);
  }
});

test("StreamingLlmAttention keeps the newest token when k is no more than the sinks", async () => {
  assert.deepEqual((await selections(3))[0][0], [0, 1, 63]);
  assert.deepEqual((await selections(1))[0][0], [63]);
});
