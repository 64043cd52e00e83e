import assert from "node:assert/strict";
import { test } from "node:test";
import { openCheckpoint } from "../../../core/formats/open.ts";
import { bytesOfArray } from "../../../core/tensor_io.ts";
import type { MemoryFiles } from "../../support/memory_files.ts";
import { assertRefused } from "../../support/refusals.ts";
import { safetensorsFile, type SafetensorsItem } from "../../support/safetensors_file.ts";
import {
  TINY_SIZES,
  tinyHuggingFaceConfig,
  type TinyLlama,
  tinyLlamaFiles,
} from "../../support/tiny_llama.ts";

const FOLDER = "tiny/huggingface";
const MODEL = `${FOLDER}/model.safetensors`;
const INDEX = `${FOLDER}/model.safetensors.index.json`;

/** The tensors of the folder's one file. */
function itemsOf(files: MemoryFiles): SafetensorsItem[] {
  const bytes = files.content(MODEL);
  const end = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, end)));
  return Object.entries<{ dtype: string; shape: number[]; data_offsets: [number, number] }>(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, { dtype, shape, data_offsets: [begin, finish] }]) => ({
      name,
      dtype,
      shape,
      bytes: bytes.slice(end + begin, end + finish),
    }));
}

/** The same folder with its tensors in two shards. */
function sharded(seed: number): { tiny: TinyLlama; map: Record<string, string>; items: SafetensorsItem[] } {
  const tiny = tinyLlamaFiles(seed);
  const items = itemsOf(tiny.files);
  const half = items.length >> 1;
  tiny.files.write(`${FOLDER}/a.safetensors`, safetensorsFile(items.slice(0, half)));
  tiny.files.write(`${FOLDER}/b.safetensors`, safetensorsFile(items.slice(half)));
  tiny.files.remove(MODEL);
  const map = Object.fromEntries(
    items.map(({ name }, i) => [name, i < half ? "a.safetensors" : "b.safetensors"]),
  );
  tiny.files.write(INDEX, JSON.stringify({ metadata: { total_size: -12 }, weight_map: map }));
  return { tiny, map, items };
}

async function refusedAs(
  files: MemoryFiles,
  kind: "bad-data" | "missing-input",
  message: RegExp,
): Promise<void> {
  await assertRefused(openCheckpoint(files, FOLDER), kind, message);
  assert.equal(files.openFiles, 0, "every file opened on the way is closed again");
}

test("openCheckpoint() reads the weights of a folder", async () => {
  const { files, weights } = tinyLlamaFiles(1);
  const checkpoint = await openCheckpoint(files, FOLDER);
  assert.equal(checkpoint.format, "huggingface");
  assert.equal(checkpoint.tokenizer, null);
  assert.deepEqual([...checkpoint.tensors.keys()].sort(), [...weights.keys()].sort());
  for (const [name, values] of weights) {
    const tensor = checkpoint.tensors.get(name)!;
    const rows = tensor.shape.length === 1 ? 1 : tensor.shape[0];
    assert.deepEqual(await tensor.readRows(0, rows), bytesOfArray(values).slice(), name);
  }
  await checkpoint.close();
  assert.equal(files.openFiles, 0);
});

test("openCheckpoint() reads shards, whatever total_size says", async () => {
  const { tiny } = sharded(2);
  const checkpoint = await openCheckpoint(tiny.files, FOLDER);
  const values = tiny.weights.get("layers.1.down")!;
  assert.deepEqual(
    await checkpoint.tensors.get("layers.1.down")!.readRows(0, 32),
    bytesOfArray(values).slice(),
  );
  assert.equal(
    checkpoint.weightBytes,
    [...tiny.weights.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
  );
  await checkpoint.close();
  assert.equal(tiny.files.openFiles, 0);
});

test("openCheckpoint() gives a sharded folder the fingerprint of the whole one", async () => {
  const whole = await openCheckpoint(tinyLlamaFiles(2).files, FOLDER);
  const shards = await openCheckpoint(sharded(2).tiny.files, FOLDER);
  assert.equal(await shards.fingerprint(), await whole.fingerprint());
});

test("openCheckpoint() refuses shard names that leave the folder", async () => {
  const names = ["../a.safetensors", "/etc/a", "a\0b", "..\\a", "x/../../a", "", ".", "C:a", "x//y", "a/./b"];
  for (const name of names) {
    const { tiny, map } = sharded(3);
    tiny.files.write(INDEX, JSON.stringify({ weight_map: { ...map, "model.norm.weight": name } }));
    await refusedAs(tiny.files, "bad-data", /not a path inside the folder/);
  }
});

test("openCheckpoint() refuses a shard that is a link out of the folder", async () => {
  const { tiny } = sharded(3);
  tiny.files.write("elsewhere/b.safetensors", tiny.files.content(`${FOLDER}/b.safetensors`));
  tiny.files.link(`${FOLDER}/b.safetensors`, "elsewhere/b.safetensors");
  await refusedAs(tiny.files, "bad-data", /out of the folder/);
});

test("openCheckpoint() refuses a missing shard as missing input", async () => {
  const { tiny } = sharded(4);
  tiny.files.remove(`${FOLDER}/b.safetensors`);
  await refusedAs(tiny.files, "missing-input", /b\.safetensors/);
});

test("openCheckpoint() refuses an index that disagrees with its shards", async () => {
  const { tiny, map, items } = sharded(5);
  const [first] = items;
  const write = (weight_map: unknown) => tiny.files.write(INDEX, JSON.stringify({ weight_map }));
  write({ ...map, [first.name]: "b.safetensors" });
  await refusedAs(tiny.files, "bad-data", /does not place there|does not have it/);
  write({ ...map, extra: "a.safetensors" });
  await refusedAs(tiny.files, "bad-data", /"extra" is in "a.safetensors", which does not have it/);
  write(map);
  tiny.files.write(`${FOLDER}/b.safetensors`, safetensorsFile([...items.slice(items.length >> 1), first]));
  await refusedAs(tiny.files, "bad-data", /which its index does not place there/);
  for (const wrong of [undefined, null, [], 3, {}, { a: 3 }, { a: null }]) {
    write(wrong);
    await refusedAs(tiny.files, "bad-data", /weight_map/);
  }
  write(Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [`t${i}`, `s${i}`])));
  await refusedAs(tiny.files, "bad-data", /from 1 to 1024 files/);
});

/** Opens the folder after a change to its tensors. */
async function refusedItems(
  change: (items: SafetensorsItem[]) => SafetensorsItem[],
  message: RegExp,
): Promise<void> {
  const { files } = tinyLlamaFiles(6);
  files.write(MODEL, safetensorsFile(change(itemsOf(files))));
  await refusedAs(files, "bad-data", message);
}

test("openCheckpoint() refuses tensors that do not fit the configuration, by name", async () => {
  const norm = "model.norm.weight";
  await refusedItems((items) => items.filter(({ name }) => name !== norm), /no tensor "model\.norm\.weight"/);
  await refusedItems(
    (
      items,
    ) => [...items, {
      name: "model.layers.0.self_attn.q_norm.weight",
      dtype: "F32",
      shape: [1],
      bytes: new Uint8Array(4),
    }],
    /q_norm\.weight" has no place/,
  );
  await refusedItems(
    (items) => items.map((item) => item.name === norm ? { ...item, shape: [1, 32] } : item),
    /"model\.norm\.weight" must be \[32\] .* found \[1, 32\]/,
  );
  await refusedItems(
    (items) => items.map((item) => item.name === norm ? { ...item, dtype: "I32" } : item),
    /"model\.norm\.weight" has type "I32"/,
  );
});

test("openCheckpoint() refuses an output matrix that is missing where embeddings are not tied", async () => {
  const { files } = tinyLlamaFiles(6);
  files.write(
    `${FOLDER}/config.json`,
    JSON.stringify({ ...tinyHuggingFaceConfig(TINY_SIZES), tie_word_embeddings: false }),
  );
  await refusedAs(files, "bad-data", /no tensor "lm_head\.weight"/);
});

test("openCheckpoint() refuses an embedding of another vocabulary size", async () => {
  const { files } = tinyLlamaFiles(6);
  files.write(
    `${FOLDER}/config.json`,
    JSON.stringify({ ...tinyHuggingFaceConfig(TINY_SIZES), vocab_size: 300 }),
  );
  await refusedAs(files, "bad-data", /embed_tokens\.weight" must be \[300, 32\]/);
});

test("openCheckpoint() reads biases where the configuration has them and refuses them elsewhere", async () => {
  const { files } = tinyLlamaFiles(7);
  const items = itemsOf(files);
  const bias = (layer: number, name: string, size: number) => ({
    name: `model.layers.${layer}.self_attn.${name}_proj.bias`,
    dtype: "F32",
    shape: [size],
    bytes: bytesOfArray(Float32Array.from({ length: size }, (_, i) => i)),
  });
  const biases = [0, 1].flatMap((
    l,
  ) => [bias(l, "q", 32), bias(l, "k", 16), bias(l, "v", 16), bias(l, "o", 32)]);
  files.write(MODEL, safetensorsFile([...items, ...biases]));
  await refusedAs(files, "bad-data", /bias" has no place/);
  files.write(
    `${FOLDER}/config.json`,
    JSON.stringify({ ...tinyHuggingFaceConfig(TINY_SIZES), attention_bias: true }),
  );
  const checkpoint = await openCheckpoint(files, FOLDER);
  const tensor = checkpoint.tensors.get("layers.1.k.bias")!;
  assert.deepEqual(tensor.shape, [16]);
  assert.deepEqual(await tensor.readRows(0, 1), biases[5].bytes);
});

test("openCheckpoint() ignores the output matrix of tied embeddings and old rotary tables", async () => {
  const { files } = tinyLlamaFiles(8);
  const extra = [
    { name: "lm_head.weight", dtype: "F32", shape: [288, 32], bytes: new Uint8Array(288 * 32 * 4) },
    {
      name: "model.layers.0.self_attn.rotary_emb.inv_freq",
      dtype: "F64",
      shape: [4],
      bytes: new Uint8Array(32),
    },
  ];
  files.write(MODEL, safetensorsFile([...itemsOf(files), ...extra]));
  const checkpoint = await openCheckpoint(files, FOLDER);
  assert.equal(checkpoint.tensors.has("output"), false);
});

test("openCheckpoint() carries the tokenizer's files and the chat template", async () => {
  const { files } = tinyLlamaFiles(9);
  files.write(`${FOLDER}/tokenizer.json`, '{"model": {"type": "BPE"}}');
  const noConfig = await openCheckpoint(files, FOLDER);
  assert.deepEqual(noConfig.tokenizer, {
    kind: "huggingface",
    tokenizer: { model: { type: "BPE" } },
    config: null,
    file: `${FOLDER}/tokenizer.json`,
  });
  const config = { chat_template: [{ name: "tool", template: "T" }, { name: "default", template: "D" }] };
  files.write(`${FOLDER}/tokenizer_config.json`, JSON.stringify(config));
  assert.equal((await openCheckpoint(files, FOLDER)).chatTemplate, "D");
  files.write(`${FOLDER}/tokenizer_config.json`, '{"chat_template": "C"}');
  assert.equal((await openCheckpoint(files, FOLDER)).chatTemplate, "C");
  files.write(`${FOLDER}/chat_template.jinja`, "J");
  assert.equal((await openCheckpoint(files, FOLDER)).chatTemplate, "J");
});

test("openCheckpoint() refuses broken tokenizer files", async () => {
  const broken: [string, string | Uint8Array, RegExp][] = [
    ["tokenizer.json", "[1", /not JSON/],
    ["tokenizer.json", "[]", /object at the root/],
    ["tokenizer_config.json", '{"chat_template": 3}', /chat_template/],
    ["tokenizer_config.json", '{"chat_template": [{"name": "tool", "template": "T"}]}', /default/],
    ["chat_template.jinja", Uint8Array.of(0xff), /UTF-8/],
    ["chat_template.jinja", new Uint8Array(1e6 + 1), /at most 1000000/],
    ["generation_config.json", "{", /not JSON/],
    ["config.json", "", /not JSON/],
  ];
  for (const [name, content, message] of broken) {
    const { files } = tinyLlamaFiles(9);
    files.write(`${FOLDER}/${name}`, content);
    await refusedAs(files, "bad-data", message);
  }
});
