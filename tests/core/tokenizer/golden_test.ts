import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { openCheckpoint } from "../../../core/formats/open.ts";
import { openTokenizer } from "../../../core/tokenizer/open.ts";
import type { Tokenizer } from "../../../core/tokenizer/tokenizer.ts";
import { diskFiles } from "../../../runtime/files.ts";
import { MISSING_MODEL, realModelPath } from "../../support/real_model.ts";
import { missingShared, sharedJson, sharedPath } from "../../support/shared_data.ts";
import { skip } from "../../support/skip.ts";

async function tokenizerOf(path: string): Promise<Tokenizer> {
  const checkpoint = await openCheckpoint(diskFiles, path);
  try {
    return openTokenizer(checkpoint.tokenizer!);
  } finally {
    await checkpoint.close();
  }
}

/** A golden test of the default model: skipped, saying so, where it or the golden values are not here. */
function goldenTest(name: string, golden: string, body: (tokenizer: Tokenizer) => void): void {
  test(name, async (t) => {
    const model = realModelPath();
    if (model === null) return skip(t, MISSING_MODEL);
    if (sharedPath(golden) === null) return skip(t, missingShared(golden));
    body(await tokenizerOf(model));
  });
}

const TOKENIZER = "golden/smollm2-tokenizer.json";
const NOTHING_ADDED = { addSpecial: false };
const PARSED = { addSpecial: false, parseSpecial: true };

goldenTest(
  "encode() and decode() agree with the golden cases when the model is SmolLM2",
  TOKENIZER,
  (tokenizer) => {
    const golden = sharedJson(TOKENIZER);
    assert.ok(golden.cases.length > 50);
    for (const { text, ids, decoded, idsPlain } of golden.cases) {
      assert.deepEqual(tokenizer.encode(text, { parseSpecial: true }), ids, text);
      assert.deepEqual(tokenizer.encode(text), idsPlain ?? ids, text);
      assert.equal(tokenizer.decode(ids, { keepSpecial: true }), decoded);
    }
    for (const { textUtf16, ids, decoded } of golden.loneSurrogates) {
      assert.deepEqual(tokenizer.encode(String.fromCharCode(...textUtf16)), ids);
      assert.equal(tokenizer.decode(ids), decoded);
    }
    const dropped = golden.droppedByteExample;
    assert.deepEqual(tokenizer.encode(dropped.text), dropped.ids);
    assert.equal(tokenizer.decode(dropped.ids), dropped.decoded);
    assert.deepEqual([...tokenizer.specialTokens], Object.entries(golden.specialTokens));
    assert.deepEqual(tokenizer.encode(""), []);
  },
);

goldenTest("stream() agrees with every prefix when characters are cut", TOKENIZER, (tokenizer) => {
  const { ids, decoded } = sharedJson(TOKENIZER).prefixDecodes;
  decoded.forEach((text: string, index: number) => {
    const prefix = ids.slice(0, index + 1);
    assert.equal(tokenizer.decode(prefix), text);
    const stream = tokenizer.stream();
    assert.equal(prefix.map((id: number) => stream.push(id)).join("") + stream.flush(), text);
  });
});

goldenTest(
  "encode() gives the ids of the greedy prompts when they are rendered",
  "golden/smollm2-greedy.json",
  (tokenizer) => {
    for (const one of sharedJson("golden/smollm2-greedy.json").cases) {
      assert.deepEqual(tokenizer.encode(one.renderedPrompt, PARSED), one.promptTokenIds);
      assert.equal(tokenizer.decode(one.generatedTokenIds).startsWith(one.text.trimEnd()), true);
    }
  },
);

for (const size of ["2k", "8k"]) {
  const file = `golden/smollm2-moby-dick-${size}.json`;
  goldenTest(`encode() gives the ids of the text when it is ${size} of prose`, file, (tokenizer) => {
    const { text, tokenIds } = sharedJson(file);
    const ids = tokenizer.encode(text, NOTHING_ADDED);
    assert.deepEqual(ids.slice(0, tokenIds.length), tokenIds);
    assert.ok(text.startsWith(tokenizer.decode(tokenIds)) || tokenizer.decode(tokenIds).startsWith(text));
  });
}

test("encode() gives the golden ids when the tokenizer is stories260K's", async (t) => {
  const model = sharedPath("models/stories260K/stories260K.bin");
  if (model === null) return skip(t, missingShared("models/stories260K/stories260K.bin"));
  const tokenizer = await tokenizerOf(model);
  const { prompt, ids, text } = sharedJson("golden/stories260k-greedy.json");
  const promptIds = tokenizer.encode(prompt);
  assert.deepEqual(promptIds, ids.slice(0, promptIds.length));
  assert.equal(tokenizer.decode(ids), text.slice(1));
  assert.equal(tokenizer.decode(ids.slice(1)), text);
  assert.deepEqual(tokenizer.encode(text.slice(1)), ids);
});

goldenTest("encode() takes seconds at most when texts are long or repetitive", TOKENIZER, (tokenizer) => {
  const prose = sharedPath("text/moby-dick.txt");
  const texts = ["ab".repeat(50_000), " ".repeat(100_000), "a".repeat(200_000), "\u6771".repeat(50_000)];
  if (prose !== null) texts.push(readFileSync(prose, "utf8").slice(0, 1_000_000));
  for (const text of texts) {
    const started = performance.now();
    const ids = tokenizer.encode(text);
    const seconds = (performance.now() - started) / 1000;
    assert.ok(seconds < 10, `${seconds} s for ${text.length} characters`);
    assert.equal(tokenizer.decode(ids).length, text.length);
  }
});
