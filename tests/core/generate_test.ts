import assert from "node:assert/strict";
import { test } from "node:test";
import { openBackend } from "../../backends/mod.ts";
import {
  generate,
  type GeneratedPiece,
  type GenerateOptions,
  type GenerateResult,
} from "../../core/generate.ts";
import { argmax, GREEDY, Sampler } from "../../core/sampler.ts";
import { Session } from "../../core/session.ts";
import type { StreamDecoder } from "../../core/tokenizer/tokenizer.ts";
import {
  cacheOf,
  counted,
  denseLogits,
  denseOf,
  randomIds,
  rowOf,
  tinyModel,
} from "../support/tiny_model.ts";

const { backend, live } = counted(await openBackend("reference"));
const model = await tinyModel(4, { context: 64 }, backend);
const PROMPT = randomIds(3, 10);

interface Run extends GenerateResult {
  readonly pieces: readonly GeneratedPiece[];
  readonly text: string;
}

async function run(options: Partial<GenerateOptions> = {}, context = 64): Promise<Run> {
  const cache = cacheOf(model, context);
  const session = new Session(model, cache);
  const logits = await session.prefill(PROMPT);
  const steps = generate(session, logits, {
    attention: denseOf(model),
    sampling: GREEDY,
    maxTokens: 12,
    eosTokenIds: [],
    ...options,
  });
  const pieces: GeneratedPiece[] = [];
  let next = await steps.next();
  for (; !next.done; next = await steps.next()) pieces.push(next.value);
  const before = live.size;
  cache.free();
  assert.ok(live.size < before);
  return { ...next.value, pieces, text: pieces.map(({ text }) => text).join("") };
}

/** Greedy decoding by whole dense passes. */
async function plainGreedy(count: number): Promise<number[]> {
  const ids: number[] = [];
  while (ids.length < count) {
    const all = [...PROMPT, ...ids];
    ids.push(argmax(rowOf(await denseLogits(model, all), all.length - 1)));
  }
  return ids;
}

const GREEDY_IDS = await plainGreedy(12);

/** "<id>" for every token. */
function decoder(): StreamDecoder {
  return { push: (id) => `<${id}>`, flush: () => "" };
}

test("generate() takes the likeliest token of every step when greedy", async () => {
  const { tokenIds, stopReason, decodeSteps, kvLens, pieces, decodeMs } = await run();
  assert.deepEqual(tokenIds, GREEDY_IDS);
  assert.ok(new Set(GREEDY_IDS).size > 3, "the model must not repeat itself, or nothing is shown");
  assert.equal(stopReason, "max-tokens");
  assert.equal(decodeSteps, 11);
  assert.deepEqual(kvLens, Array.from({ length: 11 }, (_, i) => 11 + i));
  assert.deepEqual(pieces.map(({ tokenId }) => tokenId), GREEDY_IDS);
  assert.ok(decodeMs > 0);
});

test("generate() draws the same tokens when the seed is the same", async () => {
  const sampling = (seed: number) => ({ ...GREEDY, temperature: 1.5, topK: 40, seed });
  const first = await run({ sampling: sampling(1) });
  assert.deepEqual((await run({ sampling: sampling(1) })).tokenIds, first.tokenIds);
  assert.notDeepEqual((await run({ sampling: sampling(2) })).tokenIds, first.tokenIds);

  const sampler = new Sampler(sampling(1));
  const ids: number[] = [];
  while (ids.length < 12) {
    const all = [...PROMPT, ...ids];
    ids.push(sampler.draw(rowOf(await denseLogits(model, all), all.length - 1), all));
  }
  assert.deepEqual(first.tokenIds, ids);
});

test("generate() counts the prompt's tokens as seen when repeats are penalised", async () => {
  const sampling = { ...GREEDY, repeatPenalty: 1000 };
  const ids = (await run({ sampling })).tokenIds;
  assert.equal(new Set(ids).size, ids.length);
  const first = GREEDY_IDS[0];
  assert.equal(ids[0], first);
  assert.notEqual((await run({ sampling, promptTokenIds: [first] })).tokenIds[0], first);
});

test("generate() ends at an end token, which is no part of the text", async () => {
  const end = GREEDY_IDS.findIndex((id, i) => i >= 4 && GREEDY_IDS.indexOf(id) === i);
  const { tokenIds, stopReason, pieces, decodeSteps, text } = await run({
    eosTokenIds: [2, GREEDY_IDS[end]],
    decoder: decoder(),
  });
  assert.equal(stopReason, "end-of-text");
  assert.deepEqual(tokenIds, GREEDY_IDS.slice(0, end + 1));
  assert.equal(pieces.length, end);
  assert.equal(decodeSteps, end);
  assert.equal(text, GREEDY_IDS.slice(0, end).map((id) => `<${id}>`).join(""));
});

test("generate() ends at a stop string, which is not shown, though it spans tokens", async () => {
  const whole = GREEDY_IDS.map((id) => `<${id}>`);
  const at = GREEDY_IDS.findIndex((id, i) => i >= 3 && GREEDY_IDS.indexOf(id) === i);
  const stop = `${GREEDY_IDS[at]}><${GREEDY_IDS[at + 1]}`;
  const { tokenIds, stopReason, text } = await run({ stop: ["nowhere", stop], decoder: decoder() });
  assert.equal(stopReason, "stop-string");
  assert.equal(text, whole.slice(0, at).join("") + "<");
  assert.deepEqual(tokenIds, GREEDY_IDS.slice(0, at + 2));
});

test("generate() hands out at the end what it held back for a stop string that never came", async () => {
  const last = `<${GREEDY_IDS[11]}>`;
  const { text, pieces, stopReason } = await run({ stop: [`${last}!`], decoder: decoder() });
  assert.equal(stopReason, "max-tokens");
  assert.equal(text, GREEDY_IDS.map((id) => `<${id}>`).join(""));
  assert.equal(pieces.at(-1)!.tokenId, null);
});

test("generate() hands out what the decoder still holds at the end", async () => {
  const held: StreamDecoder = { push: () => "", flush: () => "\ufffd" };
  const { pieces } = await run({ decoder: held, maxTokens: 2 });
  assert.deepEqual(pieces.map(({ text }) => text), ["", "", "\ufffd"]);
});

test("generate() gives no text when there is no decoder", async () => {
  assert.equal((await run()).text, "");
});

test("generate() ends when the context is full, with the token that no longer fits", async () => {
  const { tokenIds, stopReason, kvLens } = await run({}, 15);
  assert.equal(stopReason, "context-full");
  assert.deepEqual(tokenIds, GREEDY_IDS.slice(0, 6));
  assert.equal(kvLens.at(-1), 15);
});

test("generate() draws maxTokens tokens when the context just holds them, and none when it is 0", async () => {
  const { stopReason, tokenIds } = await run({ maxTokens: 6 }, 15);
  assert.deepEqual([stopReason, tokenIds.length], ["max-tokens", 6]);
  const none = await run({ maxTokens: 0, decoder: decoder() });
  assert.deepEqual([none.stopReason, none.tokenIds, none.pieces, none.decodeSteps], [
    "max-tokens",
    [],
    [],
    0,
  ]);
});

test("generate() ends when its signal is aborted, also by a timer", async () => {
  const controller = new AbortController();
  controller.abort();
  const { stopReason, tokenIds } = await run({ signal: controller.signal });
  assert.deepEqual([stopReason, tokenIds.length], ["aborted", 1]);

  const later = new AbortController();
  setTimeout(() => later.abort(), 1);
  const stopped = await run({ signal: later.signal, maxTokens: 50 });
  assert.equal(stopped.stopReason, "aborted");
  assert.ok(stopped.tokenIds.length < 50);
});

test("generate() leaves no tensor behind when it ends, is left early or refuses", async () => {
  const cache = cacheOf(model, 64);
  const session = new Session(model, cache);
  const start = async (other: Partial<GenerateOptions>) =>
    generate(session, await session.prefill(PROMPT), {
      attention: denseOf(model),
      sampling: GREEDY,
      maxTokens: 3,
      eosTokenIds: [],
      ...other,
    });
  for await (const _ of await start({})) { /* to the end, so that the pool of activations is full */ }
  const before = live.size;
  for (const leaveAt of [1, 2, 3]) {
    session.truncate(0);
    let count = 0;
    for await (const _ of await start({})) if (++count === leaveAt) break;
    assert.equal(live.size, before, `left at ${leaveAt}`);
  }
  session.truncate(0);
  await assert.rejects((await start({ sampling: { ...GREEDY, temperature: -1 } })).next(), RangeError);
  session.truncate(0);
  await assert.rejects((await start({ stop: [""] })).next(), RangeError);
  assert.equal(live.size, before);
  cache.free();
});
