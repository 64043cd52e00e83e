import assert from "node:assert/strict";
import { test } from "node:test";
import type { Calibration } from "../../calibrations/calibration.ts";
import type { GenerateResult } from "../../core/generate.ts";
import { calibrateText } from "../../runtime/calibrations.ts";
import { generateText, type GenerateTextOptions } from "../../runtime/generate_text.ts";
import type { LoadedModel } from "../../runtime/load.ts";
import { assertRefused } from "../support/refusals.ts";
import { storiesModel } from "../support/tiny_model.ts";

const loaded = await storiesModel();
const PROMPT =
  "Lily went to the park with her mom. She saw a big red ball and wanted to play with it all day. ".repeat(3);
const calibration: Calibration = await calibrateText(loaded, {
  text: PROMPT,
  corpusName: "prompt",
  tokens: 64,
  blockLength: 64,
  quick: true,
});

async function run(options: GenerateTextOptions = {}, prompt = PROMPT, model: LoadedModel = loaded) {
  let text = "";
  const pieces = generateText(model, prompt, { maxTokens: 20, ...options });
  let next = await pieces.next();
  for (; !next.done; next = await pieces.next()) text += next.value.text;
  const result: GenerateResult = next.value;
  return { ...result, text };
}

test("generateText() is dense without a calibration, and Double Sparsity with one", async () => {
  const few = { maxTokens: 150, tokenSparsity: 1 / 64 };
  const dense = await run({ maxTokens: 150 });
  assert.equal(dense.tokenIds.length, 150);
  assert.deepEqual((await run({ ...few, calibration, attention: "dense" })).tokenIds, dense.tokenIds);
  const sparse = await run({ ...few, calibration });
  assert.deepEqual((await run({ ...few, calibration, attention: "double-sparsity" })).text, sparse.text);
  assert.notDeepEqual(sparse.tokenIds, dense.tokenIds);
  assert.deepEqual((await run({ ...few, calibration, tokenSparsity: 1 })).tokenIds, dense.tokenIds);
});

test("generateText() stops where it is told to", async () => {
  const { text } = await run();
  const stop = text.slice(8, 12);
  const stopped = await run({ stop: [stop] });
  assert.equal(stopped.stopReason, "stop-string");
  assert.equal(stopped.text, text.slice(0, text.indexOf(stop)));
});

test("generateText() refuses another model's calibration, a prompt over the context, and text without a tokenizer", async () => {
  const other = { ...calibration, model: { ...loaded.identity, fingerprint: "0".repeat(64) } };
  await assertRefused(run({ calibration: other }), "calibration-mismatch", /ds calibrate/);
  await assertRefused(run({}, PROMPT.repeat(20)), "usage", /tokens.*512/);
  await assertRefused(run({}, PROMPT, { ...loaded, tokenizer: null }), "usage", /no tokenizer/);
  await assertRefused(run({ attention: "paper" }), "missing-input", /paper/);
});
