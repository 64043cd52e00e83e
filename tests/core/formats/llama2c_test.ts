import assert from "node:assert/strict";
import { test } from "node:test";
import { openCheckpoint } from "../../../core/formats/open.ts";
import { bytesOfArray } from "../../../core/tensor_io.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { assertRefused } from "../../support/refusals.ts";
import { TINY_SIZES, tinyLlamaFiles } from "../../support/tiny_llama.ts";

for (const tied of [true, false]) {
  test(`openCheckpoint() reads every weight of a llama2.c file ${tied ? "with" : "without"} tied embeddings`, async () => {
    const { files, weights, llama2c } = tinyLlamaFiles(21, { ...TINY_SIZES, tied });
    const checkpoint = await openCheckpoint(files, llama2c!);
    assert.equal(checkpoint.format, "llama2c");
    assert.deepEqual([...checkpoint.tensors.keys()].sort(), [...weights.keys()].sort());
    for (const [name, values] of weights) {
      const tensor = checkpoint.tensors.get(name)!;
      const rows = tensor.shape.length === 1 ? 1 : tensor.shape[0];
      assert.deepEqual(await tensor.readRows(0, rows), bytesOfArray(values).slice(), name);
    }
    assert.equal(checkpoint.config.tiedEmbeddings, tied);
    assert.deepEqual(checkpoint.config.eosTokenIds, [1, 2]);
    assert.equal(checkpoint.config.bosTokenId, 1);
    await checkpoint.close();
    assert.equal(files.openFiles, 0);
  });
}

test("openCheckpoint() takes the tokenizer beside a llama2.c file, by size first", async () => {
  const { files, llama2c } = tinyLlamaFiles(22);
  const first = (await openCheckpoint(files, llama2c!)).tokenizer;
  assert.equal(first?.kind, "llama2c");
  assert.equal(first.vocabSize, 288);
  assert.equal(first.file, "tiny/llama2c/tokenizer.bin");
  files.write("tiny/llama2c/tok288.bin", "for 288 tokens");
  const second = (await openCheckpoint(files, llama2c!)).tokenizer;
  assert.equal(second?.kind === "llama2c" && second.file, "tiny/llama2c/tok288.bin");
});

function changed(index: number, value: number): MemoryFiles {
  const { files, llama2c } = tinyLlamaFiles(23);
  const bytes = files.content(llama2c!).slice();
  new DataView(bytes.buffer).setInt32(4 * index, value, true);
  return new MemoryFiles({ "m.bin": bytes });
}

test("openCheckpoint() refuses llama2.c headers that do not give the file's length", async () => {
  for (let index = 0; index < 7; index++) {
    for (const value of [0, -1, 3, 7, 2 ** 31 - 1, -(2 ** 31)]) {
      await assertRefused(openCheckpoint(changed(index, value), "m.bin"), "bad-data", /./);
    }
  }
  await assertRefused(
    openCheckpoint(changed(0, 0x616b3432), "m.bin"),
    "bad-data",
    /versioned llama2\.c export/,
  );
});

test("openCheckpoint() refuses a llama2.c file with bytes missing or left over", async () => {
  const { files, llama2c } = tinyLlamaFiles(24);
  const bytes = files.content(llama2c!);
  for (const wrong of [bytes.subarray(0, -4), bytes.subarray(0, 27), new Uint8Array([...bytes, 0])]) {
    await assertRefused(openCheckpoint(new MemoryFiles({ "m.bin": wrong }), "m.bin"), "bad-data", /bytes/);
  }
});
