import assert from "node:assert/strict";
import { test } from "node:test";
import { DsError } from "../../../core/errors.ts";
import { openCheckpoint } from "../../../core/formats/open.ts";
import { ggufFile } from "../../support/gguf_file.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { below, type Random, seededRandom } from "../../support/seeded_random.ts";
import { TINY_SIZES, tinyGgufPlan, tinyLlamaFiles } from "../../support/tiny_llama.ts";

/** Small enough to mutate thousands of times. */
const SIZES = {
  ...TINY_SIZES,
  layers: 1,
  hidden: 8,
  ffn: 8,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  vocab: 20,
  context: 8,
};
const tiny = tinyLlamaFiles(41, SIZES);
const plan = tinyGgufPlan(SIZES, tiny.weights);
/** With tokenizer fields, which the tiny vocabulary is too small to have. */
const gguf = ggufFile({
  ...plan,
  metadata: [
    ...plan.metadata,
    ["tokenizer.ggml.model", { type: "string", value: "gpt2" }],
    ["tokenizer.ggml.tokens", { type: "strings", value: Array.from({ length: 20 }, (_, i) => `t${i}`) }],
    ["tokenizer.ggml.token_type", { type: "ints", value: new Array(20).fill(1) }],
    ["tokenizer.ggml.merges", { type: "strings", value: ["t 0", "t 1"] }],
    ["tokenizer.chat_template", { type: "string", value: "{{ messages }}" }],
    ["general.tags", { type: "strings", value: ["a", "b"] }],
  ],
});
const safetensors = tiny.files.content(`${tiny.huggingface}/model.safetensors`);
const config = tiny.files.content(`${tiny.huggingface}/config.json`);
const llama2c = tiny.files.content(tiny.llama2c!);
const tokenizer = new TextEncoder().encode('{"model": {"vocab": {"a": 0}}, "added_tokens": []}');

/**
 * Opens and reads all of a model; whether it could. Anything thrown but a DsError fails the test, as do files left open
 * and reads far larger than the files.
 */
async function survives(content: Readonly<Record<string, Uint8Array>>, path: string): Promise<boolean> {
  const files = new MemoryFiles(content);
  const size = Object.values(content).reduce((sum, { length }) => sum + length, 0);
  try {
    const checkpoint = await openCheckpoint(files, path);
    for (const tensor of checkpoint.tensors.values()) {
      await tensor.readRows(0, tensor.shape.length === 1 ? 1 : tensor.shape[0]);
    }
    await checkpoint.fingerprint();
    await checkpoint.close();
    return true;
  } catch (error) {
    if (!(error instanceof DsError)) throw error;
    assert.ok(error.message.length < 1000, error.message.slice(0, 2000));
    return false;
  } finally {
    assert.equal(files.openFiles, 0);
    assert.ok(files.largestRead <= size, `a read of ${files.largestRead} bytes from files of ${size}`);
  }
}

const KINDS: readonly (readonly [string, Uint8Array, (bytes: Uint8Array) => Promise<boolean>])[] = [
  ["a GGUF file", gguf, (bytes) => survives({ "m.gguf": bytes }, "m.gguf")],
  [
    "a safetensors file",
    safetensors,
    (bytes) => survives({ "f/config.json": config, "f/model.safetensors": bytes }, "f"),
  ],
  [
    "a config.json",
    config,
    (bytes) => survives({ "f/config.json": bytes, "f/model.safetensors": safetensors }, "f"),
  ],
  ["a llama2.c file", llama2c, (bytes) => survives({ "m.bin": bytes }, "m.bin")],
  [
    "a tokenizer.json",
    tokenizer,
    (bytes) =>
      survives(
        { "f/config.json": config, "f/model.safetensors": safetensors, "f/tokenizer.json": bytes },
        "f",
      ),
  ],
];

/** Changes some bytes: flips, extremes, copies, and whole words set to counts that overflow something. */
function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  const result = bytes.slice();
  const view = new DataView(result.buffer);
  // Headers come first in every format; half of the changes go there.
  const spot = () => below(random, random() < 0.5 ? Math.min(result.length, 1200) : result.length);
  for (let changes = 1 + below(random, 3); changes > 0; changes--) {
    const at = spot();
    const choice = below(random, 6);
    if (choice === 0) result[at] ^= 1 << below(random, 8);
    else if (choice === 1) result[at] = [0, 0xff, 0x7f, 0x80, 0x22, 0x5b, 0x7b][below(random, 7)];
    else if (choice === 2) result.copyWithin(at, spot(), spot());
    else if (choice === 3 && at + 8 <= result.length) {
      view.setBigUint64(
        at,
        [2n ** 64n - 1n, 2n ** 63n, 2n ** 53n + 1n, 2n ** 32n, 2n ** 24n, 0n][below(random, 6)],
        true,
      );
    } else if (choice === 4 && at + 4 <= result.length) {
      view.setUint32(at, [0xffffffff, 0x7fffffff, 0x80000000, 9, 8, 0][below(random, 6)], true);
    } else result[at] = below(random, 256);
  }
  return result;
}

for (const [what, bytes, opens] of KINDS) {
  test(`openCheckpoint() reads ${what} as it was made`, async () => {
    assert.equal(await opens(bytes), true);
  });

  test(`openCheckpoint() refuses ${what} cut off anywhere`, async () => {
    // A document may end in bytes that mean nothing; none of these does.
    for (let length = 0; length < bytes.length; length += length < 1500 ? 1 : 97) {
      assert.equal(await opens(bytes.slice(0, length)), false, `${length} of ${bytes.length} bytes`);
    }
    assert.equal(await opens(bytes.slice(0, -1)), false);
  });

  test(`openCheckpoint() loads or refuses ${what} with changed bytes`, async () => {
    let loaded = 0;
    for (let seed = 0; seed < 1500; seed++) {
      const changed = mutate(bytes, seededRandom(seed));
      loaded += await opens(changed).catch((error) => {
          throw new Error(`seed ${seed}`, { cause: error });
        })
        ? 1
        : 0;
    }
    assert.ok(loaded < 1500, "some changes must be noticed");
  });
}

for (const fault of ["short", "io"] as const) {
  test(`openCheckpoint() passes on a ${fault} fault at any read and closes what it opened`, async () => {
    const all = tinyLlamaFiles(42, SIZES);
    all.files.write(`${all.huggingface}/tokenizer.json`, tokenizer);
    for (const path of [all.gguf, all.huggingface, all.llama2c!]) {
      for (let failing = 0;; failing++) {
        all.files.reads = 0;
        all.files.faultAt = (read) => read === failing ? fault : null;
        const outcome = await openCheckpoint(all.files, path).then(
          (checkpoint) => checkpoint.fingerprint().finally(() => checkpoint.close()).then(() => "read"),
        ).catch((error) => error);
        assert.equal(all.files.openFiles, 0);
        if (outcome === "read") {
          assert.ok(all.files.reads <= failing && failing > 10, "every read failed once");
          break;
        }
        assert.ok(outcome instanceof DsError, String(outcome));
        assert.equal(outcome.kind, fault === "io" ? "io" : "bad-data");
      }
    }
  });
}
