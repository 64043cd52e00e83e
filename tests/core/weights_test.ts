import assert from "node:assert/strict";
import { test } from "node:test";
import { openBackend } from "../../backends/mod.ts";
import type { Backend } from "../../core/backend.ts";
import { badData } from "../../core/errors.ts";
import type { Checkpoint, CheckpointTensor } from "../../core/formats/checkpoint.ts";
import { openCheckpoint } from "../../core/formats/open.ts";
import { Model } from "../../core/model.ts";
import { decodeRows } from "../../core/quantisation.ts";
import { encodeQ8_0 } from "../../core/quantisation/encode.ts";
import { bytesOfArray, downloadFloats, encodeFloats } from "../../core/tensor_io.ts";
import { loadWeights, tensorsOf } from "../../core/weights.ts";
import { assertRefused } from "../support/refusals.ts";
import { storeBlocks } from "../support/stored_blocks.ts";
import { TINY_SIZES, tinyLlamaFiles } from "../support/tiny_llama.ts";
import { counted, denseLogits, randomIds } from "../support/tiny_model.ts";

const IDS = randomIds(1, 20);

async function tinyCheckpoint(tied = true) {
  const tiny = tinyLlamaFiles(1, { ...TINY_SIZES, tied });
  return { checkpoint: await openCheckpoint(tiny.files, tiny.gguf), weights: tiny.weights };
}

/** The same checkpoint with some tensors replaced, or taken out. */
function changed(
  checkpoint: Checkpoint,
  changes: Readonly<Record<string, CheckpointTensor | null>>,
): Checkpoint {
  const tensors = new Map(checkpoint.tensors);
  for (const [name, tensor] of Object.entries(changes)) {
    if (tensor === null) tensors.delete(name);
    else tensors.set(name, tensor);
  }
  return { ...checkpoint, tensors };
}

function stored(
  name: string,
  values: Float32Array,
  shape: readonly number[],
  dtype: "f32" | "f16",
): CheckpointTensor {
  const bytes = encodeFloats(values, dtype);
  const rowBytes = shape.length === 1 ? bytes.length : bytes.length / shape[0];
  return {
    name,
    dtype,
    shape,
    readRows: (first, count) => Promise.resolve(bytes.slice(first * rowBytes, (first + count) * rowBytes)),
  };
}

function packedTensor(
  name: string,
  bytes: Uint8Array,
  shape: readonly number[],
  dtype: CheckpointTensor["dtype"],
): CheckpointTensor {
  const rowBytes = bytes.length / shape[0];
  const readRows: CheckpointTensor["readRows"] = (first, count) =>
    Promise.resolve(bytes.slice(first * rowBytes, (first + count) * rowBytes));
  return { name, dtype, shape, readRows };
}

test("loadWeights() packs q, k, v and gate, up, and shares a tied embedding", async () => {
  const { checkpoint, weights: values } = await tinyCheckpoint();
  const backend = await openBackend("reference");
  const progress: number[][] = [];
  const weights = await loadWeights(backend, checkpoint, {
    context: 40,
    onProgress: (done, total) => progress.push([done, total]),
  });
  assert.equal(weights.output, weights.embedding);
  assert.deepEqual(weights.ropeTable.shape, [40, 2, 4]);
  const [qkv] = weights.layers[1].qkv;
  assert.equal(weights.layers[1].qkv.length, 1);
  assert.deepEqual(qkv.weight.shape, [(4 + 2 * 2) * 8, 32]);
  const packed = ["q", "k", "v"].flatMap((part) => [...values.get(`layers.1.${part}`)!]);
  assert.deepEqual(await downloadFloats(backend, qkv.weight), Float32Array.from(packed));
  const [gateUp] = weights.layers[0].gateUp;
  const both = ["gate", "up"].flatMap((part) => [...values.get(`layers.0.${part}`)!]);
  assert.deepEqual(await downloadFloats(backend, gateUp.weight), Float32Array.from(both));
  assert.deepEqual(progress.at(-1), [checkpoint.weightBytes, checkpoint.weightBytes]);
  assert.ok(progress.every(([done], i) => i === 0 || done > progress[i - 1][0]));
  await backend.close();
});

test("loadWeights() makes parts where types differ, and the model runs with them", async () => {
  const { checkpoint, weights } = await tinyCheckpoint();
  // Weights that f16 holds exactly, so that the type alone differs.
  const exact = (name: string) => weights.get(name)!.map((value) => Math.round(value * 256) / 256);
  const withK = (dtype: "f32" | "f16") =>
    changed(checkpoint, {
      "layers.0.k": stored("k", exact("layers.0.k"), [16, 32], dtype),
      "layers.1.up": stored("up", exact("layers.1.up"), [48, 32], dtype),
    });
  const backend = await openBackend("reference");
  const mixed = await Model.load(backend, withK("f16"), { context: 64 });
  assert.deepEqual(
    mixed.weights.layers[0].qkv.map(({ weight, column }) => [weight.dtype, weight.shape[0], column]),
    [["f32", 32, 0], ["f16", 16, 32], ["f32", 16, 48]],
  );
  assert.deepEqual(mixed.weights.layers[1].gateUp.map(({ column }) => column), [0, 48]);
  assert.equal(mixed.weights.layers[1].qkv.length, 1);
  const expected = await denseLogits(await Model.load(backend, withK("f32"), { context: 64 }), IDS);
  assert.deepEqual(await denseLogits(mixed, IDS), expected);

  const narrow = Object.create(backend) as Backend;
  Object.assign(narrow, { device: { ...backend.device, weightDtypes: ["f32"] } });
  const decoded = await Model.load(narrow, withK("f16"), { context: 64 });
  assert.deepEqual(decoded.weights.layers[0].qkv.map(({ weight }) => weight.dtype), ["f32", "f32", "f32"]);
  assert.deepEqual(await denseLogits(decoded, IDS), expected);
  await backend.close();
});

test("loadWeights() holds other packed types as q8_0 where the backend asks for it, others as f32", async () => {
  const { checkpoint, weights } = await tinyCheckpoint();
  const stored5 = storeBlocks("q5_0", weights.get("layers.0.down")!.slice(0, 32 * 32));
  const values = new Float32Array(32 * 32);
  decodeRows("q5_0", stored5, values);
  const square = (dtype: "q5_0" | "q8_0" | "f32", bytes: Uint8Array) =>
    packedTensor("o", bytes, [32, 32], dtype);
  const withO = (tensor: CheckpointTensor) => changed(checkpoint, { "layers.0.o": tensor });
  const reference = await openBackend("reference");
  const asking = (otherWeights: "f32" | "q8_0") => {
    const backend = Object.create(reference) as Backend;
    return Object.assign(backend, { device: { ...reference.device, otherWeights } });
  };
  const logits = async (backend: Backend, tensor: CheckpointTensor, held: string) => {
    const model = await Model.load(backend, withO(tensor), { context: 64 });
    assert.equal(model.weights.layers[0].o[0].weight.dtype, held);
    return denseLogits(model, IDS);
  };
  assert.deepEqual(
    await logits(asking("q8_0"), square("q5_0", stored5), "q8_0"),
    await logits(reference, square("q8_0", encodeQ8_0(values)), "q8_0"),
  );
  const exact = await logits(reference, square("f32", bytesOfArray(values)), "f32");
  assert.deepEqual(await logits(asking("f32"), square("q5_0", stored5), "f32"), exact);
  assert.deepEqual(await logits(reference, square("q5_0", stored5), "f32"), exact);
  await reference.close();
});

test("loadWeights() adds biases, to the pieces that have one", async () => {
  const { checkpoint } = await tinyCheckpoint();
  const backend = await openBackend("reference");
  const bias = Float32Array.from({ length: 32 }, (_, i) => i / 8 - 2);
  const load = (changes: Record<string, CheckpointTensor>) =>
    Model.load(backend, changed(checkpoint, changes), { context: 64 });
  const one = await load({ "layers.0.q.bias": stored("b", bias, [32], "f32") });
  assert.deepEqual(one.weights.layers[0].qkv.map(({ bias, column }) => [bias?.shape ?? null, column]), [
    [[32], 0],
    [null, 32],
  ]);
  const zero = await load({ "layers.0.q.bias": stored("b", new Float32Array(32), [32], "f32") });
  const plain = await denseLogits(await load({}), IDS);
  assert.deepEqual(await denseLogits(zero, IDS), plain);
  assert.notDeepEqual(await denseLogits(one, IDS), plain);
  // A value bias goes through attention unchanged, as weights add up to 1: on W_o it is a plain offset.
  const all = await load({
    "layers.1.o.bias": stored("b", bias, [32], "f32"),
    "layers.1.down.bias": stored("b", bias.map((value) => -value), [32], "f32"),
    "layers.1.gate.bias": stored("b", new Float32Array(48), [48], "f32"),
  });
  assert.notDeepEqual(await denseLogits(all, IDS), plain);
  await backend.close();
});

test("loadWeights() refuses a checkpoint when a tensor is missing or of another shape", async () => {
  const { checkpoint } = await tinyCheckpoint(false);
  const load = async (changes: Record<string, CheckpointTensor | null>, tiedEmbeddings = false) => {
    const backend = await openBackend("reference");
    const config = { ...checkpoint.config, tiedEmbeddings };
    const weights = await loadWeights(backend, { ...changed(checkpoint, changes), config }, { context: 8 });
    return { backend, weights };
  };
  await assertRefused(load({ "layers.1.down": null }), "bad-data", /layers\.1\.down/);
  const wide = stored("blk.0.attn_k", new Float32Array(17 * 32), [17, 32], "f32");
  await assertRefused(load({ "layers.0.k": wide }), "bad-data", /blk\.0\.attn_k.*\[17, 32\].*\[16, 32\]/);
  await assertRefused(load({ output: null }), "bad-data", /tied/);
  const { weights } = await load({ output: null }, true);
  assert.equal(weights.output, weights.embedding);
  const failing: CheckpointTensor = {
    ...checkpoint.tensors.get("finalNorm")!,
    readRows: () => Promise.reject(badData("x", "it ends early")),
  };
  await assertRefused(load({ finalNorm: failing }), "bad-data", /ends early/);
});

test("loadWeights() gives everything back when it fails on the way", async () => {
  const { checkpoint } = await tinyCheckpoint(false);
  const { backend, live } = counted(await openBackend("reference"));
  for (const name of ["embedding", "layers.0.v", "layers.1.down", "output"]) {
    const failing: CheckpointTensor = {
      ...checkpoint.tensors.get(name)!,
      readRows: () => Promise.reject(badData("x", "it ends early")),
    };
    await assert.rejects(loadWeights(backend, changed(checkpoint, { [name]: failing }), { context: 8 }));
    assert.equal(live.size, 0, name);
  }
  await backend.close();
});

test("tensorsOf() lists every tensor once", async () => {
  const { checkpoint } = await tinyCheckpoint();
  const { backend, live } = counted(await openBackend("reference"));
  const weights = await loadWeights(backend, checkpoint, { context: 8 });
  const all = tensorsOf(weights);
  assert.deepEqual(all, live);
  const bytes = [...all].reduce((sum, tensor) => sum + tensor.byteLength, 0);
  assert.equal(bytes, checkpoint.weightBytes + bytesOfArray(new Float32Array(8 * 8)).length);
  await backend.close();
});
