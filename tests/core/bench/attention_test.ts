import assert from "node:assert/strict";
import { test } from "node:test";
import { openBackend } from "../../../backends/mod.ts";
import type { Backend, Tensor, TensorSpec } from "../../../core/backend.ts";
import { AttentionBench } from "../../../core/bench/attention.ts";
import { planAttentionBench } from "../../../core/bench/attention_shape.ts";
import { measureCeiling } from "../../../core/bench/ceiling.ts";
import { copySlot } from "../../../core/bench/copy_slot.ts";
import { fillSlot, syntheticLabels, syntheticMoments } from "../../../core/bench/synthetic.ts";
import { KvCache } from "../../../core/kv_cache.ts";
import { downloadFloats } from "../../../core/tensor_io.ts";

const shape = {
  numHeads: 4,
  numKvHeads: 2,
  headDim: 32,
  batch: 2,
  context: 513,
  kvDtype: "f16",
  layout: { wide: 8, narrow: 16 },
  tokenSparsity: 1 / 8,
} as const;

/** Counts what is allocated and not freed. */
function counted(backend: Backend): { backend: Backend; held: Set<Tensor> } {
  const held = new Set<Tensor>();
  const proxy = new Proxy(backend, {
    get(target, name) {
      if (name === "alloc") {
        return (spec: TensorSpec) => {
          const tensor = target.alloc(spec);
          held.add(tensor);
          return tensor;
        };
      }
      if (name === "free") {
        return (tensor: Tensor) => {
          held.delete(tensor);
          target.free(tensor);
        };
      }
      const value = Reflect.get(target, name) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { backend: proxy, held };
}

test("AttentionBench counts bytes as by hand and frees all it took when opened on a small shape", async () => {
  const { backend, held } = counted(await openBackend("reference"));
  const plan = { ...planAttentionBench(shape, 2 ** 30), copies: 3 };
  const bench = await AttentionBench.open(backend, shape, plan, { seed: 7 });
  const names = bench.cases.map(({ name }) => name);
  assert.deepEqual(names, [
    "dense",
    "double-sparsity",
    "double-sparsity: score",
    "double-sparsity: select",
    "double-sparsity: attend",
  ]);
  const rowBytes = 2 * 32 * 2;
  const heads = 2 * 2;
  const labels = heads * 513 * 8;
  // k = ⌈513/8⌉; all tokens before the current one are in the running sums, one of which is read.
  const attended = heads * (65 * rowBytes + 32 * 4);
  assert.deepEqual(bench.cases.map(({ bytes }) => bytes), [
    heads * 513 * rowBytes,
    labels + attended,
    labels,
    null,
    attended,
  ]);
  for (const { run } of bench.cases) await run(4);
  bench.free();
  assert.equal(held.size, 0);
  await backend.close();
});

test("AttentionBench has no parts when the budget takes in every token", async () => {
  const backend = await openBackend("reference");
  const small = { ...shape, context: 20 };
  const bench = await AttentionBench.open(backend, small, planAttentionBench(small, 2 ** 24), { seed: 7 });
  assert.deepEqual(bench.cases.map(({ name }) => name), ["dense", "double-sparsity"]);
  assert.equal(bench.cases[0]!.bytes, bench.cases[1]!.bytes);
  for (const { run } of bench.cases) await run(1);
  bench.free();
  await backend.close();
});

test("planAttentionBench() makes few copies when contexts are long or memory is small", () => {
  const long = planAttentionBench({ ...shape, context: 2 ** 22 }, 2 ** 40);
  assert.equal(long.copies, 1);
  assert.ok(long.deviceBytes > 2 * 2 * 2 ** 22 * 128);
  assert.equal(planAttentionBench(shape, 2 ** 40).copies, 256);
  const tight = planAttentionBench(shape, 2 ** 24);
  assert.ok(tight.copies > 1 && tight.deviceBytes < 2 ** 23, `${tight.copies} copies`);
});

test("copySlot() leaves the same bytes as filling again when slots and layers are copied", async () => {
  const backend = await openBackend("reference");
  const moments = syntheticMoments(shape, 3);
  const channels = syntheticLabels(shape, moments, shape.layout);
  const config = {
    architecture: "attention alone",
    numLayers: 2,
    hiddenSize: 128,
    ffnSize: 0,
    vocabSize: 0,
    numHeads: 4,
    numKvHeads: 2,
    headDim: 32,
    contextLength: 200,
    rmsNormEpsilon: 0,
    rope: { base: 10000, scaling: null },
    tiedEmbeddings: true,
    bosTokenId: null,
    eosTokenIds: [],
  };
  const cache = KvCache.alloc(backend, config, {
    slots: 2,
    capacity: 200,
    dtype: "f16",
    labels: { layout: shape.layout, layers: [channels, channels] },
  });
  const [first, second] = cache.layers;
  await fillSlot(backend, first!, shape, moments, { length: 200, seed: 9 });
  await fillSlot(backend, second!, shape, moments, { length: 200, seed: 9, slot: 1 });
  const filled = await backend.download(second!.kv);
  await copySlot(backend, { cache: first!, slot: 0 }, [{ cache: second!, slot: 0 }]);
  for (const part of ["words", "valueSums"] as const) {
    const bytes = await backend.download(second!.labels![part]);
    assert.deepEqual(bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2), part);
    assert.ok(bytes.some((byte) => byte !== 0));
  }
  const copied = await backend.download(second!.kv);
  assert.deepEqual(copied.subarray(0, copied.length / 2), filled.subarray(filled.length / 2));
  cache.free();
  await backend.close();
});

test("fillSlot() draws keys of the given moments when many tokens are written", async () => {
  const backend = await openBackend("reference");
  const moments = syntheticMoments(shape, 5);
  const kv = backend.alloc({ dtype: "f32", shape: [1, 2, 4096, 2, 32] });
  await fillSlot(backend, { kv, labels: null }, shape, moments, { length: 4096, seed: 1 });
  const values = await downloadFloats(backend, kv);
  for (const [h, c] of [[0, 0], [1, 31], [1, 7]] as const) {
    let sum = 0;
    let squares = 0;
    for (let n = 0; n < 4096; n++) {
      const key = values[(h * 4096 + n) * 64 + c];
      sum += key;
      squares += key * key;
    }
    const mean = sum / 4096;
    const deviation = Math.sqrt(squares / 4096 - mean * mean);
    const wanted = moments.deviation[h * 32 + c];
    assert.ok(Math.abs(mean - moments.mean[h * 32 + c]) < 0.08 * wanted);
    assert.ok(Math.abs(deviation / wanted - 1) < 0.06);
  }
  backend.free(kv);
  await backend.close();
});

test("measureCeiling() counts the bytes read and written when a small tensor is copied", async () => {
  const { backend, held } = counted(await openBackend("reference"));
  const ceiling = await measureCeiling(backend, { samples: 3, seconds: 0, sampleMs: 1 }, 2 ** 20);
  assert.equal(ceiling.bytes, 2 ** 21);
  assert.equal(ceiling.samplesUs.length, 3);
  const median = [...ceiling.samplesUs].sort((a, b) => a - b)[1]!;
  assert.ok(Math.abs(ceiling.gigabytesPerSecond - 2 ** 21 / median / 1000) < 1e-9);
  assert.equal(held.size, 0);
  await backend.close();
});
