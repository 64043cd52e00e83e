import assert from "node:assert/strict";
import { test } from "node:test";
import type { Checkpoint } from "../../../core/formats/checkpoint.ts";
import { openCheckpoint } from "../../../core/formats/open.ts";
import { bytesOfArray } from "../../../core/tensor_io.ts";
import { ByteWriter } from "../../support/byte_writer.ts";
import { ggufFile, type GgufItem, type GgufPlan, type GgufTensorItem } from "../../support/gguf_file.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { assertRefused } from "../../support/refusals.ts";
import { randomBytes, seededRandom } from "../../support/seeded_random.ts";
import { TINY_SIZES, tinyGgufPlan, tinyLlamaFiles } from "../../support/tiny_llama.ts";

const { weights } = tinyLlamaFiles(11);
const plan = tinyGgufPlan(TINY_SIZES, weights);

async function open(bytes: Uint8Array): Promise<Checkpoint> {
  return await openCheckpoint(new MemoryFiles({ "m.gguf": bytes }), "m.gguf");
}

async function refused(bytes: Uint8Array, message: RegExp): Promise<void> {
  const files = new MemoryFiles({ "m.gguf": bytes });
  await assertRefused(openCheckpoint(files, "m.gguf"), "bad-data", message);
  assert.equal(files.openFiles, 0);
  assert.ok(files.largestRead <= Math.max(2 ** 18, bytes.length));
}

/** The tiny model with metadata replaced, added, or (null) removed. */
function withMetadata(
  changes: Readonly<Record<string, GgufItem | null>>,
  more: Partial<GgufPlan> = {},
): Uint8Array {
  const kept = plan.metadata.filter(([key]) => !(key in changes));
  const added = Object.entries(changes).filter((entry): entry is [string, GgufItem] => entry[1] !== null);
  return ggufFile({ ...plan, metadata: [...kept, ...added], ...more });
}

function withTensor(name: string, change: Partial<GgufTensorItem>): Uint8Array {
  return ggufFile({
    ...plan,
    tensors: plan.tensors.map((tensor) => tensor.name === name ? { ...tensor, ...change } : tensor),
  });
}

const text = (value: string): GgufItem => ({ type: "string", value });
const u32 = (value: number): GgufItem => ({ type: "u32", value });
const f32 = (value: number): GgufItem => ({ type: "f32", value });

test("openCheckpoint() reads a GGUF file's configuration, tokenizer and template", async () => {
  const checkpoint = await open(
    withMetadata({ "tokenizer.chat_template": text("T"), "tokenizer.ggml.eot_token_id": u32(7) }),
  );
  assert.equal(checkpoint.format, "gguf");
  assert.deepEqual(checkpoint.config, {
    architecture: "llama",
    numLayers: 2,
    hiddenSize: 32,
    ffnSize: 48,
    vocabSize: 288,
    numHeads: 4,
    numKvHeads: 2,
    headDim: 8,
    contextLength: 64,
    rmsNormEpsilon: Math.fround(1e-5),
    rope: { base: 10000, scaling: null },
    tiedEmbeddings: true,
    bosTokenId: 1,
    eosTokenIds: [2, 7],
  });
  assert.equal(checkpoint.chatTemplate, "T");
  const { tokenizer } = checkpoint;
  assert.equal(tokenizer?.kind, "gguf");
  assert.deepEqual(tokenizer.tokens.slice(0, 4), ["<unk>", "<s>", "</s>", "<0x00>"]);
  assert.equal(tokenizer.scores?.length, 288);
  assert.deepEqual([...tokenizer.types!.subarray(0, 4)], [2, 3, 3, 6]);
  assert.deepEqual([tokenizer.addBos, tokenizer.addEos, tokenizer.addSpacePrefix], [true, false, true]);
  assert.deepEqual([tokenizer.model, tokenizer.pre, tokenizer.merges], ["llama", null, null]);
});

test("readRows() gives q and k in the half-split order, in any piece", async () => {
  const checkpoint = await open(ggufFile(plan));
  for (const [name, values] of weights) {
    const tensor = checkpoint.tensors.get(name)!;
    const rows = tensor.shape.length === 1 ? 1 : tensor.shape[0];
    const expected = bytesOfArray(values);
    const rowBytes = expected.length / rows;
    for (
      const [first, count] of [[0, rows], [rows >> 1, rows - (rows >> 1)], [rows - 1, 1], [
        Math.min(3, rows),
        Math.min(9, rows - Math.min(3, rows)),
      ]]
    ) {
      const piece = await tensor.readRows(first, count);
      assert.deepEqual(
        piece,
        expected.slice(first * rowBytes, (first + count) * rowBytes),
        `${name} ${first} ${count}`,
      );
    }
  }
});

test("readRows() throws RangeError for rows the tensor does not have", async () => {
  const tensor = (await open(ggufFile(plan))).tensors.get("layers.0.q")!;
  for (const [first, count] of [[0, 33], [-1, 1], [32, 1], [0.5, 1], [0, NaN]]) {
    await assert.rejects(tensor.readRows(first, count), RangeError);
  }
  assert.equal((await tensor.readRows(32, 0)).length, 0);
});

test("readRows() permutes the biases of q and k as it does their rows, and those of qwen2 not at all", async () => {
  const bias = (size: number) => Float32Array.from({ length: size }, (_, i) => i);
  const added = [0, 1].flatMap((l) =>
    [["q", 32], ["k", 16], ["v", 16]].map(([name, size]) => ({
      name: `blk.${l}.attn_${name}.bias`,
      shape: [Number(size)],
      type: 0,
      bytes: bytesOfArray(bias(Number(size))),
    }))
  );
  const tensors = [...plan.tensors, ...added];
  const read = async (checkpoint: Checkpoint, name: string) => {
    const bytes = await checkpoint.tensors.get(name)!.readRows(0, 1);
    return [...new Float32Array(bytes.slice().buffer)];
  };
  const llama = await open(ggufFile({ ...plan, tensors }));
  const head = [0, 2, 4, 6, 1, 3, 5, 7];
  assert.deepEqual(await read(llama, "layers.1.k.bias"), [...head, ...head.map((i) => i + 8)]);
  assert.deepEqual(await read(llama, "layers.1.v.bias"), [...bias(16)]);

  const metadata = plan.metadata.map(([key, item]) =>
    [key.replace(/^llama\./, "qwen2."), item] as [string, GgufItem]
  );
  metadata[0] = ["general.architecture", text("qwen2")];
  const qwen2 = await open(ggufFile({ metadata, tensors }));
  assert.deepEqual(await read(qwen2, "layers.1.k.bias"), [...bias(16)]);
  assert.deepEqual(
    await qwen2.tensors.get("layers.0.q")!.readRows(0, 32),
    plan.tensors.find(({ name }) => name === "blk.0.attn_q.weight")!.bytes.slice(),
  );
  await refused(ggufFile({ metadata, tensors: plan.tensors }), /no tensor "blk\.0\.attn_q\.bias"/);
});

test("openCheckpoint() reads version 2 and other alignments, and block types", async () => {
  assert.equal((await open(ggufFile({ ...plan, version: 2 }))).config.numLayers, 2);
  const aligned = withMetadata({ "general.alignment": u32(256) }, { alignment: 256 });
  assert.deepEqual(
    await (await open(aligned)).tensors.get("finalNorm")!.readRows(0, 1),
    bytesOfArray(weights.get("finalNorm")!).slice(),
  );
  const bytes = randomBytes(seededRandom(3), 288 * 20);
  const blocks = await open(withTensor("token_embd.weight", { type: 3, bytes }));
  const embedding = blocks.tensors.get("embedding")!;
  assert.equal(embedding.dtype, "q4_1");
  assert.deepEqual(await embedding.readRows(5, 2), bytes.slice(100, 140));
});

test("openCheckpoint() maps rope scaling", async () => {
  const rope = async (bytes: Uint8Array) => (await open(bytes)).config.rope.scaling;
  const scaling = (type: string, factor: number, more: Record<string, GgufItem> = {}) =>
    withMetadata({
      "llama.rope.scaling.type": text(type),
      "llama.rope.scaling.factor": f32(factor),
      ...more,
    });
  assert.deepEqual(await rope(scaling("linear", 4)), { type: "linear", factor: 4 });
  assert.equal(await rope(scaling("none", 4)), null);
  const yarn = await open(scaling("yarn", 4, { "llama.rope.scaling.original_context_length": u32(64) }));
  assert.equal(yarn.config.contextLength, 256);
  assert.equal(yarn.config.rope.scaling?.type, "yarn");
  assert.ok(Math.abs(yarn.config.rope.scaling.attentionFactor - (0.1 * Math.log(4) + 1)) < 1e-12);
  await refused(scaling("longrope", 4), /"longrope" is not supported/);
  await refused(scaling("linear", 0.25), /factor/);
  await refused(scaling("yarn", NaN), /finite/);

  const factors = (values: Float32Array, type = 0) =>
    ggufFile({
      ...plan,
      tensors: [...plan.tensors, {
        name: "rope_freqs.weight",
        shape: [values.length],
        type,
        bytes: bytesOfArray(values),
      }],
    });
  assert.deepEqual(await rope(factors(Float32Array.of(1, 1, 2, 8))), {
    type: "factors",
    factors: [1, 1, 2, 8],
  });
  await refused(factors(Float32Array.of(1, 1, 2)), /3 rope factors for 4/);
  await refused(factors(Float32Array.of(1, 1, 2, 0)), /rope factor/);
  await refused(factors(Float32Array.of(1, 1, NaN, 8)), /rope factor/);
});

test("openCheckpoint() refuses other networks by name", async () => {
  await refused(
    withMetadata({ "general.architecture": text("gemma2") }),
    /architecture "gemma2" is not supported: ds knows llama, qwen2/,
  );
  await refused(
    withMetadata({ "general.architecture": null }),
    /general\.architecture must be text: found nothing/,
  );
  await refused(withMetadata({ "llama.expert_count": u32(8) }), /llama\.expert_count must be 0: found 8/);
  await refused(withMetadata({ "llama.attention.sliding_window": u32(16) }), /window of 16/);
  await refused(
    withMetadata({ "llama.rope.dimension_count": u32(4) }),
    /llama\.rope\.dimension_count must be the head size 8/,
  );
  await refused(withMetadata({ "llama.attention.value_length": u32(4) }), /value_length/);
  await refused(withMetadata({ "llama.logit_scale": f32(2) }), /logit_scale/);
  await refused(withMetadata({ "split.count": u32(3) }), /one of 3 parts/);
  const lists: GgufItem = { type: "ints", value: [2, 2] };
  await refused(
    withMetadata({ "llama.attention.head_count_kv": lists }),
    /head_count_kv must be a whole number.*a list of 2/,
  );
  const extra = { name: "blk.0.ffn_gate_inp.weight", shape: [1], type: 0, bytes: new Uint8Array(4) };
  await refused(
    ggufFile({ ...plan, tensors: [...plan.tensors, extra] }),
    /ffn_gate_inp\.weight" has no place/,
  );
});

test("openCheckpoint() refuses sizes no model has", async () => {
  for (
    const key of [
      "block_count",
      "context_length",
      "embedding_length",
      "feed_forward_length",
      "attention.head_count",
    ]
  ) {
    for (const value of [u32(0), u32(2 ** 31), text("2"), f32(2.5), null]) {
      await refused(withMetadata({ [`llama.${key}`]: value }), /./);
    }
    await refused(withMetadata({ [`llama.${key}`]: { type: "u64", value: 2n ** 64n - 1n } }), /./);
  }
  await refused(withMetadata({ "llama.attention.head_count_kv": u32(3) }), /divide evenly/);
  await refused(withMetadata({ "llama.rope.freq_base": f32(Infinity) }), /freq_base/);
});

test("openCheckpoint() refuses broken tokenizer fields", async () => {
  const key = (name: string) => `tokenizer.ggml.${name}`;
  await refused(
    withMetadata({ [key("tokens")]: { type: "strings", value: ["a", "b"] } }),
    /2 tokens and its embedding 288/,
  );
  await refused(
    withMetadata({ [key("tokens")]: { type: "ints", value: [1] } }),
    /tokens must be a list of text/,
  );
  await refused(withMetadata({ [key("tokens")]: null }), /no tokenizer\.ggml\.tokens/);
  await refused(withMetadata({ [key("scores")]: { type: "floats", value: [1] } }), /scores/);
  await refused(withMetadata({ [key("token_type")]: { type: "floats", value: [1] } }), /token_type/);
  await refused(
    withMetadata({ [key("token_type")]: { type: "ints", value: new Array(288).fill(9) } }),
    /token_type.*found 9/,
  );
  await refused(withMetadata({ [key("merges")]: text("a b") }), /merges/);
  await refused(withMetadata({ [key("eos_token_id")]: u32(288) }), /EOS token id/);
  await refused(withMetadata({ [key("unknown_token_id")]: u32(400) }), /unknown_token_id/);
  await refused(withMetadata({ [key("add_bos_token")]: u32(1) }), /add_bos_token must be true or false/);
  await refused(withMetadata({ "tokenizer.chat_template": u32(1) }), /chat_template/);
  assert.equal((await open(withMetadata({ [key("model")]: null }))).tokenizer, null);
});

test("openCheckpoint() refuses other versions and byte orders", async () => {
  await refused(ggufFile({ ...plan, version: 1 }), /version 1/);
  await refused(ggufFile({ ...plan, version: 4 }), /version 4/);
  await refused(ggufFile({ ...plan, version: 0x03000000 }), /big-endian/);
});

test("openCheckpoint() refuses counts and lengths beyond the file", async () => {
  const huge = 2n ** 64n - 1n;
  await refused(ggufFile({ ...plan, tensorCount: huge }), /number of tensors/);
  await refused(ggufFile({ ...plan, metadataCount: huge }), /number of metadata/);
  await refused(ggufFile({ ...plan, metadataCount: 65_536 }), /./);
  await refused(ggufFile({ ...plan, tensorCount: 100_000 }), /./);
  const raw = (typeNumber: number, write: (bytes: ByteWriter) => ByteWriter): GgufItem => ({
    type: "raw",
    typeNumber,
    bytes: write(new ByteWriter()).done(),
  });
  const end = (item: GgufItem) => ggufFile({ metadata: [["k", item]], tensors: [] });
  for (const length of [huge, 2n ** 63n, 2n ** 24n, 1000n]) {
    await refused(end(raw(8, (bytes) => bytes.u64(length))), /length of "k"|ends inside/);
    for (const type of [0, 6, 8, 10]) {
      await refused(
        end(raw(9, (bytes) => bytes.u32(type).u64(length))),
        /length of "k"|ends inside|does not fit/,
      );
    }
  }
  await refused(end(raw(9, (bytes) => bytes.u32(9).u64(1).u32(0).u64(1).u8(1))), /holds lists/);
  await refused(end(raw(13, (bytes) => bytes.u64(0))), /unknown type 13/);
  await refused(end(raw(2 ** 31, (bytes) => bytes.u64(0))), /unknown type/);
  await refused(end(raw(7, (bytes) => bytes.u8(2))), /must be 0 or 1/);
  await refused(end(raw(8, (bytes) => bytes.u64(2).u8(0xc3).u8(0x28))), /UTF-8/);
});

test("openCheckpoint() refuses keys and tensors given twice", async () => {
  await refused(
    ggufFile({ ...plan, metadata: [...plan.metadata, plan.metadata[0]] }),
    /"general\.architecture" twice/,
  );
  await refused(ggufFile({ ...plan, tensors: [...plan.tensors, plan.tensors[3]] }), /twice/);
});

test("openCheckpoint() refuses alignments that are not powers of two", async () => {
  for (
    const item of [u32(0), u32(24), u32(2 ** 31), text("32"), f32(0.5), { type: "i32", value: -32 } as const]
  ) {
    await refused(withMetadata({ "general.alignment": item }), /general\.alignment/);
  }
});

test("openCheckpoint() refuses tensors that do not lie in the file", async () => {
  const name = "blk.1.ffn_up.weight";
  await refused(withTensor(name, { offset: 8 }), /no multiple of 32/);
  await refused(withTensor(name, { offset: 0 }), /overlaps/);
  await refused(withTensor(name, { offset: 2n ** 63n }), /offset of/);
  await refused(withTensor(name, { offset: 2 ** 40 }), /of a file of/);
  await refused(ggufFile(plan).subarray(0, -32), /of a file of/);
});

test("openCheckpoint() refuses types and shapes that cannot be", async () => {
  const name = "blk.1.ffn_down.weight";
  await refused(withTensor(name, { type: 16 }), /type iq2_xxs; ds reads f32/);
  await refused(withTensor(name, { type: 4 }), /type number 4/);
  await refused(withTensor(name, { type: 2 ** 32 - 1 }), /type number/);
  await refused(withTensor(name, { type: 2 }), /rows of 48 values, not whole q4_0 blocks/);
  await refused(withTensor(name, { shape: [48, 32] }), /must be \[32, 48\]/);
  await refused(withTensor(name, { shape: [] }), /1 to 4 dimensions/);
  await refused(withTensor(name, { shape: [1, 1, 1, 32, 48] }), /1 to 4 dimensions/);
  await refused(withTensor(name, { shape: [2n ** 40n, 2n ** 40n] }), /larger than any file/);
  await refused(withTensor(name, { shape: [2n ** 63n, 1] }), /size of/);
  await refused(
    withTensor("output_norm.weight", { type: 8, bytes: new Uint8Array(34) }),
    /must be f32, f16 or bf16/,
  );
});
