import assert from "node:assert/strict";
import { test } from "node:test";
import { calibrationFacts } from "../../calibrations/facts.ts";
import { DEFAULT_BUDGET, DEFAULT_FORCED } from "../../core/attention/budget.ts";
import { evaluatePerplexity } from "../../core/evaluation/perplexity.ts";
import { parseLabelLayout } from "../../core/labels.ts";
import { Session, takeArgmax } from "../../core/session.ts";
import { generateText } from "../../runtime/generate_text.ts";
import { missingShared, sharedJson, sharedPath } from "../support/shared_data.ts";
import { cacheOf, calibrated, denseOf, SPARSE, storiesModel } from "../support/tiny_model.ts";
import { skip } from "../support/skip.ts";

const PROMPT = "Once upon a time";
/** The first ids of the reference continuation, the prompt's first: what a numpy decoder of the same file gives. */
const IDS = [
  ...[1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426],
  ...[338, 401, 396, 267, 337, 410, 408, 419, 292, 411, 322, 265, 282, 295, 433, 426],
];
const TEXT = " Once upon a time, there was a little girl named Lily. She loved to play outside in the park.";

async function greedy(promptIds: readonly number[], count: number): Promise<number[]> {
  const loaded = await storiesModel();
  const { model } = loaded;
  const ids = [...promptIds];
  const session = new Session(model, cacheOf(model, count));
  ids.push(await takeArgmax(model, await session.prefill(promptIds)));
  while (ids.length < count) {
    ids.push(await takeArgmax(model, await session.decode(ids.at(-1)!, denseOf(model))));
  }
  await loaded.close();
  return ids;
}

test("stories260k continues as recorded when decoding is greedy", async () => {
  const { tokenizer, close } = await storiesModel();
  const prompt = tokenizer!.encode(PROMPT);
  assert.deepEqual(prompt, IDS.slice(0, prompt.length));
  assert.deepEqual(await greedy(prompt, 32), IDS);
  assert.equal(tokenizer!.decode(IDS, { keepSpecial: false }).trim(), TEXT.trim());
  await close();
});

test("stories260k gives the reference's every id and its text when decoding is greedy", async (t) => {
  const file = "golden/stories260k-greedy.json";
  if (sharedPath(file) === null) return skip(t, missingShared(file));
  const golden = sharedJson(file);
  const { tokenizer, close } = await storiesModel();
  const prompt = tokenizer!.encode(golden.prompt);
  assert.deepEqual(await greedy(prompt, golden.ids.length), golden.ids);
  assert.equal(tokenizer!.decode(golden.ids).trim(), golden.text.trim());
  await close();
});

test("generateText() tells the same story as its model's greedy ids", async () => {
  const loaded = await storiesModel();
  let story = "";
  const pieces = generateText(loaded, PROMPT, { maxTokens: 27 });
  let next = await pieces.next();
  for (; !next.done; next = await pieces.next()) story += next.value.text;
  assert.deepEqual(next.value.tokenIds, IDS.slice(5));
  assert.equal(PROMPT + story, TEXT.trim());
  await loaded.close();
});

test("stories260k read sparsely stays near dense attention, with labels of all channels near the oracle", async () => {
  const { model, close } = await storiesModel();
  const story = await greedy(IDS, 400);
  const calibration = await calibrated(model, [story.slice(200)]);
  const facts = calibrationFacts(calibration, parseLabelLayout("8x4"));
  const attention = { ...SPARSE, budget: DEFAULT_BUDGET, forced: DEFAULT_FORCED, calibration: facts };
  const rows = await evaluatePerplexity(model, [story.slice(0, 200)], {
    modes: ["double-sparsity", "oracle", "streaming-llm", "paper"],
    attention,
    setting: "served",
    skip: 80,
    kvDtype: "f32",
  });
  const [ours, oracle, streaming, paper] = rows;
  const shown = rows.map((row) => `${row.attention} ${row.klDivergence} ${row.attentionRecall}`).join(", ");
  assert.ok(Math.abs(ours.attentionRecall! / oracle.attentionRecall! - 1) < 0.01, shown);
  assert.ok(ours.attentionRecall! > streaming.attentionRecall! + 0.05, shown);
  assert.ok(ours.klDivergence < streaming.klDivergence / 2, shown);
  assert.ok(ours.klDivergence < paper.klDivergence, shown);
  await close();
});
