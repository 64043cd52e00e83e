import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DsError } from "../../../core/errors.ts";
import { openCheckpoint } from "../../../core/formats/open.ts";
import { weightFlaws } from "../../../core/formats/weight_check.ts";
import { diskFiles } from "../../../runtime/files.ts";
import { skip } from "../../support/skip.ts";

const data = fileURLToPath(new URL("../../../../shared/data/", import.meta.url));

/** Families of `golden/families` that run, with what their folder's README says of them. */
const FAMILIES: Readonly<Record<string, { rope?: string; heads: readonly number[]; tensors: number }>> = {
  "llama-mha": { heads: [3, 3, 16], tensors: 30 },
  "llama-gqa": { heads: [6, 2, 16], tensors: 29 },
  "llama3-rope": { heads: [4, 2, 16], tensors: 21, rope: "llama3" },
  "llama-rope-linear": { heads: [4, 2, 16], tensors: 21, rope: "linear" },
  "llama-rope-yarn": { heads: [2, 1, 32], tensors: 21, rope: "yarn" },
  "llama-attention-bias": { heads: [3, 3, 16], tensors: 51 },
  "llama-bf16-sharded": { heads: [4, 2, 16], tensors: 39 },
  "qwen2": { heads: [4, 2, 16], tensors: 26 },
};

for (const [family, { heads, tensors, rope }] of Object.entries(FAMILIES)) {
  test(`openCheckpoint() reads the golden family ${family}`, async (t) => {
    const folder = `${data}golden/families/${family}`;
    if (await diskFiles.kind(folder) === "missing") {
      return skip(t, "needs ../shared/data/golden/families: not here");
    }
    const checkpoint = await openCheckpoint(diskFiles, folder);
    const { numHeads, numKvHeads, headDim } = checkpoint.config;
    assert.deepEqual([numHeads, numKvHeads, headDim], heads);
    assert.equal(checkpoint.config.rope.scaling?.type, rope);
    assert.equal(checkpoint.tensors.size, tensors);
    const flaws = [];
    for await (const flaw of weightFlaws(checkpoint)) flaws.push(flaw);
    assert.deepEqual(flaws, []);
    await checkpoint.close();
  });
}

test("openCheckpoint() refuses every other golden family by name", async (t) => {
  const families = await readdir(`${data}golden/families`, { withFileTypes: true }).catch(() => null);
  if (families === null) return skip(t, "needs ../shared/data/golden/families: not here");
  const others = families.filter((entry) => entry.isDirectory() && !(entry.name in FAMILIES));
  assert.ok(others.length > 0);
  for (const { name } of others) {
    await assert.rejects(openCheckpoint(diskFiles, `${data}golden/families/${name}`), (error) => {
      return error instanceof DsError && error.kind === "bad-data" && /is not supported/.test(error.message);
    }, name);
  }
});

test("openCheckpoint() reads stories260K and the tokenizer beside it", async (t) => {
  const path = `${data}models/stories260K/stories260K.bin`;
  if (await diskFiles.kind(path) === "missing") {
    return skip(t, "needs ../shared/data/models/stories260K: not here");
  }
  const checkpoint = await openCheckpoint(diskFiles, path);
  const { numLayers, hiddenSize, ffnSize, numHeads, numKvHeads, vocabSize, contextLength } =
    checkpoint.config;
  assert.deepEqual(
    [numLayers, hiddenSize, ffnSize, numHeads, numKvHeads, vocabSize, contextLength],
    [5, 64, 172, 8, 4, 512, 512],
  );
  assert.equal(checkpoint.tokenizer?.kind === "llama2c" && checkpoint.tokenizer.bytes.length, 6227);
  for await (const flaw of weightFlaws(checkpoint)) assert.fail(JSON.stringify(flaw));
  await checkpoint.close();
});
