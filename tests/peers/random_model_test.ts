import assert from "node:assert/strict";
import { test } from "node:test";
import { openBackend } from "../../backends/mod.ts";
import { openCheckpoint } from "../../core/formats/open.ts";
import { fromF16 } from "../../core/half.ts";
import { KvCache } from "../../core/kv_cache.ts";
import { Model } from "../../core/model.ts";
import { Session, takeLogits } from "../../core/session.ts";
import { openTokenizer } from "../../core/tokenizer/open.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { randomModelFile, WIDE_SIZES } from "./random_model.ts";

const SIZES = {
  ...WIDE_SIZES,
  layers: 2,
  hidden: 64,
  ffn: 96,
  heads: 2,
  kvHeads: 2,
  headDim: 32,
  context: 64,
};

const open = async (bytes: Uint8Array) =>
  await openCheckpoint(new MemoryFiles({ "wide.gguf": bytes }), "wide.gguf");

test("randomModelFile() makes a model of the sizes asked for, with a vocabulary for any text", async () => {
  const { config, tensors, tokenizer } = await open(randomModelFile(SIZES, 1));
  const {
    numLayers,
    hiddenSize,
    ffnSize,
    numHeads,
    numKvHeads,
    headDim,
    vocabSize,
    contextLength,
  } = config;
  assert.deepEqual(
    [
      numLayers,
      hiddenSize,
      ffnSize,
      numHeads,
      numKvHeads,
      headDim,
      vocabSize,
      contextLength,
    ],
    [2, 64, 96, 2, 2, 32, 512, 64],
  );
  for (const [name, { dtype, shape }] of tensors) {
    assert.equal(dtype, shape.length === 1 ? "f32" : "q8_0", name);
  }
  const text = "Wie weit? 10 µs.\n";
  const tokens = openTokenizer(tokenizer!);
  assert.equal(
    tokens.decode(tokens.encode(text, { addSpecial: false })).trimStart(),
    text,
  );
});

test("randomModelFile() draws each row's values with deviation 1/√I, the embedding's with 1", async () => {
  const { tensors } = await open(randomModelFile(SIZES, 1));
  for (
    const [name, columns, expected] of [["embedding", 64, 1], [
      "layers.1.down",
      96,
      1 / Math.sqrt(96),
    ]]
  ) {
    const rows = tensors.get(String(name))!.shape[0];
    const bytes = await tensors.get(String(name))!.readRows(0, rows);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let squares = 0;
    for (let block = 0; block < bytes.length; block += 34) {
      const scale = fromF16(view.getUint16(block, true));
      for (let i = 2; i < 34; i++) {
        squares += (scale * view.getInt8(block + i)) ** 2;
      }
    }
    const deviation = Math.sqrt(squares / (rows * Number(columns)));
    assert.ok(
      Math.abs(deviation / Number(expected) - 1) < 0.03,
      `${name}: ${deviation}`,
    );
  }
});

test("randomModelFile() makes the same bytes for a seed and others for another", () => {
  assert.deepEqual(randomModelFile(SIZES, 5), randomModelFile(SIZES, 5));
  assert.notDeepEqual(randomModelFile(SIZES, 5), randomModelFile(SIZES, 6));
});

test("randomModelFile()'s model runs: its logits are finite and differ", async () => {
  const backend = await openBackend("reference");
  const model = await Model.load(
    backend,
    await open(randomModelFile(SIZES, 2)),
    { context: 8 },
  );
  const cache = KvCache.alloc(backend, model.config, {
    slots: 1,
    capacity: 8,
    dtype: "f32",
    labels: null,
  });
  const logits = await takeLogits(
    model,
    await new Session(model, cache).prefill([5, 300, 77]),
  );
  assert.ok(logits.every(Number.isFinite));
  assert.ok(new Set(logits).size > 500);
  cache.free();
  model.free();
  await backend.close();
});
