import assert from "node:assert/strict";
import { test } from "node:test";
import { openCheckpoint } from "../../../core/formats/open.ts";
import { weightFlaws } from "../../../core/formats/weight_check.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { assertRefused } from "../../support/refusals.ts";
import { TINY_SIZES, tinyLlamaFiles } from "../../support/tiny_llama.ts";

async function refused(
  files: MemoryFiles,
  path: string,
  kind: "missing-input" | "bad-data",
  message: RegExp,
) {
  await assertRefused(openCheckpoint(files, path), kind, message);
  assert.equal(files.openFiles, 0);
}

test("openCheckpoint() says what a path is that is no model", async () => {
  const files = new MemoryFiles({
    "folder/readme.md": "hello",
    "half/config.json": JSON.stringify({ model_type: "llama" }),
    "empty.gguf": "",
    "short.bin": "1234567",
    "text.txt": "It was the best of times, it was the worst of times.",
    "model.safetensors": new Uint8Array(100),
    "model.pt": "PK\x03\x04 and so on",
  });
  files.pipe("pipe");
  await refused(files, "nowhere", "missing-input", /no such file or folder/);
  await refused(files, "pipe", "missing-input", /neither a regular file nor a folder/);
  await refused(files, "folder", "missing-input", /config\.json/);
  await refused(files, "half", "bad-data", /hidden_size/);
  await refused(files, "empty.gguf", "bad-data", /0 bytes/);
  await refused(files, "short.bin", "bad-data", /7 bytes/);
  await refused(files, "text.txt", "bad-data", /neither a GGUF file nor a llama2\.c model/);
  await refused(files, "model.safetensors", "bad-data", /path of the folder/);
  await refused(files, "model.pt", "bad-data", /pickled PyTorch/);
});

test("openCheckpoint() finds a folder's missing weights", async () => {
  const { files, huggingface } = tinyLlamaFiles(31);
  files.remove(`${huggingface}/model.safetensors`);
  await refused(files, huggingface, "missing-input", /neither model\.safetensors nor/);
});

test("openCheckpoint() prefers the tokenizer that is asked for", async () => {
  const { files, gguf, llama2c, huggingface } = tinyLlamaFiles(32);
  files.write("tok/tokenizer.json", '{"model": {}}');
  files.write("tok/tokenizer_config.json", '{"chat_template": "C"}');
  files.write("bin/tokenizer.bin", "0123456789");
  const open = async (path: string, tokenizerPath: string) => {
    const { tokenizer, chatTemplate } = await openCheckpoint(files, path, { tokenizerPath });
    return [tokenizer?.kind, tokenizer?.file, chatTemplate];
  };
  assert.deepEqual(await open(gguf, "tok"), ["huggingface", "tok/tokenizer.json", "C"]);
  assert.deepEqual(await open(huggingface, "tok/tokenizer.json"), ["huggingface", "tok/tokenizer.json", "C"]);
  assert.deepEqual(await open(llama2c!, "bin/tokenizer.bin"), ["llama2c", "bin/tokenizer.bin", null]);
  assert.deepEqual(await open(llama2c!, "bin"), ["llama2c", "bin/tokenizer.bin", null]);
  assert.deepEqual(await open(huggingface, gguf), ["gguf", gguf, null]);
});

test("openCheckpoint() closes the model when the tokenizer asked for cannot be had", async () => {
  const { files, gguf, huggingface } = tinyLlamaFiles(33);
  const cases: [string, "missing-input" | "bad-data", RegExp][] = [
    ["nowhere.json", "missing-input", /nowhere\.json/],
    [huggingface, "missing-input", /no tokenizer\.json and no tokenizer\.bin/],
    ["bad.json", "bad-data", /not JSON/],
    ["short.bin", "bad-data", /too few/],
  ];
  files.write("bad.json", '{"model": tru}');
  files.write("short.bin", "1");
  for (const [tokenizerPath, kind, message] of cases) {
    await assertRefused(openCheckpoint(files, gguf, { tokenizerPath }), kind, message);
    assert.equal(files.openFiles, 0, tokenizerPath);
  }
});

test("fingerprint() tells models, values and containers apart and is the same every time", async () => {
  const prints = new Set<string>();
  const { files, gguf, llama2c, huggingface } = tinyLlamaFiles(34);
  const bytes = files.content(huggingface + "/model.safetensors");
  for (const path of [gguf, llama2c!, huggingface]) {
    const print = await (await openCheckpoint(files, path)).fingerprint();
    assert.match(print, /^[0-9a-f]{64}$/);
    assert.equal(await (await openCheckpoint(tinyLlamaFiles(34).files, path)).fingerprint(), print);
    prints.add(print);
  }
  bytes[bytes.length - 1] ^= 1;
  prints.add(await (await openCheckpoint(files, huggingface)).fingerprint());
  prints.add(await (await openCheckpoint(tinyLlamaFiles(35).files, gguf)).fingerprint());
  const longer = tinyLlamaFiles(34, { ...TINY_SIZES, context: 65 }).files;
  prints.add(await (await openCheckpoint(longer, huggingface)).fingerprint());
  // The two orders of q and k rows and the epsilon's rounding aside, the three containers hold the same model.
  assert.equal(prints.size, 6);
});

test("fingerprint() reads 8 KiB of a tensor at most", async () => {
  const { files, gguf } = tinyLlamaFiles(36, { ...TINY_SIZES, vocab: 4096 });
  const checkpoint = await openCheckpoint(files, gguf);
  files.largestRead = 0;
  await checkpoint.fingerprint();
  assert.ok(files.largestRead > 0 && files.largestRead <= 8192);
});

test("weightFlaws() names tensors with NaN, infinities or nothing but zeros", async () => {
  const { files, gguf, weights } = tinyLlamaFiles(37);
  const flaws = async () => {
    const found = [];
    for await (const flaw of weightFlaws(await openCheckpoint(files, gguf))) found.push(flaw);
    return found;
  };
  assert.deepEqual(await flaws(), []);
  const bytes = files.content(gguf);
  const tail = bytes.length - 4 * weights.get("finalNorm")!.length;
  new DataView(bytes.buffer).setFloat32(tail + 12, Infinity, true);
  assert.deepEqual(await flaws(), [{ name: "finalNorm", flaw: "not finite", index: 3 }]);
  bytes.fill(0, tail);
  assert.deepEqual(await flaws(), [{ name: "finalNorm", flaw: "all zero", index: 0 }]);
});
