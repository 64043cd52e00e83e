import assert from "node:assert/strict";
import { test } from "node:test";
import { openBackend } from "../../backends/mod.ts";
import { calibrationFacts } from "../../calibrations/facts.ts";
import { openAttention } from "../../core/attention/open.ts";
import { openCheckpoint } from "../../core/formats/open.ts";
import { consecutiveRows, Model, privateRows } from "../../core/model.ts";
import { Session, takeLogits } from "../../core/session.ts";
import { downloadFloats, tensorOf } from "../../core/tensor_io.ts";
import { TINY_SIZES, tinyLlamaFiles, type TinyLlamaSizes } from "../support/tiny_llama.ts";
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
} from "../support/tiny_model.ts";

const IDS = randomIds(5, 60);

async function logitsOfFile(seed: number, container: "huggingface" | "gguf" | "llama2c", tied: boolean) {
  const tiny = tinyLlamaFiles(seed, { ...TINY_SIZES, tied });
  const checkpoint = await openCheckpoint(tiny.files, tiny[container]!);
  const backend = await openBackend("reference");
  const logits = await denseLogits(await Model.load(backend, checkpoint, { context: 64 }), IDS);
  await backend.close();
  return logits;
}

for (const tied of [true, false]) {
  const which = tied ? "tied" : "untied";
  test(`forward() gives the same bits when the weights come from any container, ${which}`, async () => {
    const logits = await logitsOfFile(1, "gguf", tied);
    assert.deepEqual(await logitsOfFile(1, "huggingface", tied), logits);
    assert.deepEqual(await logitsOfFile(1, "llama2c", tied), logits);
    assert.notDeepEqual(await logitsOfFile(2, "gguf", tied), logits);
  });
}

for (const change of [{}, { headDim: 16, kvHeads: 1 }, { kvHeads: 4, tied: false, layers: 3 }]) {
  test(`forward() gives what the plain equations give when sizes are ${JSON.stringify(change)}`, async () => {
    const sizes = { ...TINY_SIZES, ...change };
    const model = await tinyModel(3, sizes);
    const logits = await denseLogits(model, IDS.slice(0, 24));
    const expected = plainLogits(tinyLlamaFiles(3, sizes).weights, sizes, IDS.slice(0, 24));
    expected.forEach((value, i) => assert.ok(Math.abs(value - logits[i]) < 2e-4, `${i}: ${logits[i]}`));
    await model.backend.close();
  });
}

test("prefill() gives the same bits in chunks of any size, and so does decoding token by token", async () => {
  const model = await tinyModel(4);
  const last = rowOf(await denseLogits(model, IDS), 59);
  for (const chunk of [60, 1, 7, 8, 32]) {
    const session = new Session(model, cacheOf(model, 60));
    assert.deepEqual(await takeLogits(model, await session.prefill(IDS, { chunk })), last, `chunk ${chunk}`);
  }
  const session = new Session(model, cacheOf(model, 60));
  let logits = await takeLogits(model, await session.prefill(IDS.slice(0, 1)));
  for (const id of IDS.slice(1)) {
    logits = await takeLogits(model, await session.decode(id, denseOf(model)));
  }
  assert.deepEqual(logits, last);
  await model.backend.close();
});

test("forward() keeps slots apart when one step holds rows of several", async () => {
  const model = await tinyModel(5);
  const sequences = [randomIds(6, 30), randomIds(7, 30), randomIds(8, 30)];
  const cache = cacheOf(model, 30, null, 3);
  const lengths = [20, 29, 11];
  for (let s = 0; s < 3; s++) {
    await forward(model, cache, consecutiveRows(sequences[s].slice(0, lengths[s]), 0, s), denseOf(model));
  }
  // A prefill chunk of the last beside one decode step of the others.
  const rows = {
    tokens: Int32Array.of(sequences[1][29], ...sequences[2].slice(11, 30), sequences[0][20]),
    slots: Int32Array.of(1, ...new Array(19).fill(2), 0),
    positions: Int32Array.of(29, ...Array.from({ length: 19 }, (_, i) => 11 + i), 20),
  };
  const together = await forward(model, cache, { ...rows, homes: rows.positions }, denseOf(model));
  assert.deepEqual(rowOf(together, 0), rowOf(await denseLogits(model, sequences[1]), 29));
  assert.deepEqual(rowOf(together, 19), rowOf(await denseLogits(model, sequences[2]), 29));
  assert.deepEqual(rowOf(together, 20), rowOf(await denseLogits(model, sequences[0]), 20));
  await model.backend.close();
});

for (const mode of ["dense", "double-sparsity", "paper", "oracle"] as const) {
  test(`privateRows() stand each for a decode step when attention is ${mode}`, async () => {
    const model = await tinyModel(6, { context: 160 });
    const { backend, config } = model;
    const ids = randomIds(9, 140);
    const facts = calibrationFacts(await calibrated(model, [randomIds(10, 128)]), { wide: 8, narrow: 0 });
    const positions = [139, 64, 63, 100, 64, 20];
    // One of the two rows at position 64 is another token than the text's.
    const tokens = positions.map((position, i) => i === 4 ? 77 : ids[position]);
    const cache = cacheOf(model, 150, facts.labels);
    const options = { ...SPARSE, calibration: facts };
    await forward(model, cache, consecutiveRows(ids, 0), denseOf(model));
    const together = await forward(
      model,
      cache,
      privateRows(tokens, positions, 140),
      openAttention(mode, backend, config, options, 150),
    );
    for (const [i, position] of positions.entries()) {
      const fresh = cacheOf(model, 150, facts.labels);
      await forward(model, fresh, consecutiveRows(ids.slice(0, position), 0), denseOf(model));
      const attention = openAttention(mode, backend, config, options, 150);
      const alone = await forward(model, fresh, consecutiveRows([tokens[i]], position), attention);
      assert.deepEqual(rowOf(together, i), alone, `row ${i}`);
      fresh.free();
    }
    assert.notDeepEqual(rowOf(together, 1), rowOf(together, 4));
    await backend.close();
  });
}

test("forward() goes on from a layer's residual when firstLayer is given", async () => {
  const model = await tinyModel(7, { layers: 3 });
  const cache = cacheOf(model, 64);
  await forward(model, cache, consecutiveRows(IDS.slice(0, 40), 0), denseOf(model));
  const rows = consecutiveRows(IDS.slice(40, 50), 40);
  const residuals: Float32Array[] = [];
  const whole = await forward(model, cache, rows, denseOf(model), {
    tap: {
      residual: async (_layer, x) => {
        residuals.push(await downloadFloats(model.backend, x));
      },
    },
  });
  for (const firstLayer of [0, 1, 2]) {
    const residual = tensorOf(model.backend, residuals[firstLayer], [10, TINY_SIZES.hidden]);
    const layers: number[] = [];
    const resumed = await forward(model, cache, rows, denseOf(model), {
      firstLayer,
      residual,
      tap: { residual: (layer) => void layers.push(layer) },
    });
    assert.deepEqual(resumed, whole, `from layer ${firstLayer}`);
    assert.deepEqual(layers, [0, 1, 2].slice(firstLayer));
    assert.deepEqual(await downloadFloats(model.backend, residual), residuals[firstLayer]);
  }
  await model.backend.close();
});

test("forward() shows a tap q, k and v after RoPE and the stream after attention", async () => {
  const model = await tinyModel(8);
  const { backend, config: { numHeads, numKvHeads, headDim: d } } = model;
  const cache = cacheOf(model, 16);
  const seen: string[] = [];
  const streams: Float32Array[] = [];
  await forward(model, cache, consecutiveRows(IDS.slice(0, 16), 0), denseOf(model), {
    tap: {
      residual: async (layer, x) => {
        seen.push(`residual ${layer}`);
        streams.push(await downloadFloats(backend, x));
      },
      qkv: async (layer, qkv) => {
        seen.push(`qkv ${layer}`);
        const values = await downloadFloats(backend, qkv);
        const cached = await downloadFloats(backend, cache.layers[layer].kv);
        const width = (numHeads + 2 * numKvHeads) * d;
        for (const h of [0, 1]) {
          const key = 9 * width + (numHeads + h) * d;
          const at = (h * 16 + 9) * 2 * d;
          assert.deepEqual(cached.slice(at, at + d), values.slice(key, key + d));
          const value = key + numKvHeads * d;
          assert.deepEqual(cached.slice(at + d, at + 2 * d), values.slice(value, value + d));
        }
      },
      attended: async (layer, x) => {
        seen.push(`attended ${layer}`);
        assert.notDeepEqual(await downloadFloats(backend, x), streams[layer]);
      },
    },
  });
  assert.deepEqual(seen, ["residual 0", "qkv 0", "attended 0", "residual 1", "qkv 1", "attended 1"]);
  await backend.close();
});

test("forward() returns the logits of the rows asked for, and none when none is", async () => {
  const model = await tinyModel(9);
  const whole = await denseLogits(model, IDS.slice(0, 12));
  const cache = cacheOf(model, 12);
  const rows = consecutiveRows(IDS.slice(0, 12), 0);
  const logits = await model.forward(cache, rows, denseOf(model), { logitRows: Int32Array.of(7, 2) });
  const values = await downloadFloats(model.backend, logits!);
  assert.deepEqual(rowOf(values, 0), rowOf(whole, 7));
  assert.deepEqual(rowOf(values, 1), rowOf(whole, 2));
  assert.equal(await model.forward(cache, rows, denseOf(model)), null);
  await model.backend.close();
});

test("forward() refuses a token past the vocabulary and a position past the context", async () => {
  const model = await tinyModel(10);
  const cache = cacheOf(model, 80);
  const run = (id: number, position: number) =>
    model.forward(cache, consecutiveRows([id], position), denseOf(model));
  await assert.rejects(run(TINY_SIZES.vocab, 0), RangeError);
  await assert.rejects(run(5, TINY_SIZES.context), RangeError);
  await assert.rejects(run(5, -1), RangeError);
  await model.backend.close();
});

test("free() gives back every tensor of a model that ran steps of many sizes", async () => {
  const { backend, live } = counted(await openBackend("reference"));
  const model = await tinyModel(11, { tied: false }, backend);
  for (const count of [1, 5, 9, 2, 1, 17, 5]) await denseLogits(model, IDS.slice(0, count));
  assert.ok(live.size > 0);
  model.free();
  assert.equal(live.size, 0);
  await backend.close();
});

/** The network's equations over whole sequences, in f64; logits [N, V]. */
function plainLogits(
  weights: ReadonlyMap<string, Float32Array>,
  { layers, hidden: D, ffn: F, heads, kvHeads, headDim: d, vocab: V, tied = true }: TinyLlamaSizes,
  ids: readonly number[],
): number[] {
  const times = (name: string, x: readonly number[], rows: number) => {
    const weight = weights.get(name)!;
    return Array.from(
      { length: rows },
      (_, r) => x.reduce((sum, v, i) => sum + v * weight[r * x.length + i], 0),
    );
  };
  const normed = (name: string, x: readonly number[]) => {
    const root = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length + 1e-5);
    return x.map((v, i) => (v / root) * weights.get(name)![i]);
  };
  const rotated = (x: readonly number[], position: number) =>
    x.map((v, i) => {
      const c = i % d;
      const angle = position * 10000 ** (-2 * (c % (d / 2)) / d);
      const other = c < d / 2 ? -x[i + d / 2] : x[i - d / 2];
      return v * Math.cos(angle) + other * Math.sin(angle);
    });
  let stream = ids.map((id) => [...weights.get("embedding")!.subarray(id * D, (id + 1) * D)]);
  for (let l = 0; l < layers; l++) {
    const at = (part: string) => `layers.${l}.${part}`;
    const inputs = stream.map((x) => normed(at("attentionNorm"), x));
    const queries = inputs.map((x, n) => rotated(times(at("q"), x, heads * d), n));
    const keys = inputs.map((x, n) => rotated(times(at("k"), x, kvHeads * d), n));
    const values = inputs.map((x) => times(at("v"), x, kvHeads * d));
    stream = stream.map((x, n) => {
      const mixed: number[] = [];
      for (let h = 0; h < heads; h++) {
        const kv = Math.floor(h / (heads / kvHeads)) * d;
        const scores = keys.slice(0, n + 1).map((key) => {
          let sum = 0;
          for (let c = 0; c < d; c++) sum += queries[n][h * d + c] * key[kv + c];
          return Math.exp(sum / Math.sqrt(d));
        });
        const total = scores.reduce((a, b) => a + b);
        for (let c = 0; c < d; c++) {
          mixed.push(scores.reduce((sum, score, m) => sum + (score / total) * values[m][kv + c], 0));
        }
      }
      const after = times(at("o"), mixed, D).map((v, i) => v + x[i]);
      const input = normed(at("ffnNorm"), after);
      const gate = times(at("gate"), input, F);
      const up = times(at("up"), input, F);
      const inner = gate.map((v, i) => (v / (1 + Math.exp(-v))) * up[i]);
      return times(at("down"), inner, D).map((v, i) => v + after[i]);
    });
  }
  return stream.flatMap((x) => times(tied ? "embedding" : "output", normed("finalNorm", x), V));
}
