import assert from "node:assert/strict";
import { test } from "node:test";
import { openBackend } from "../../backends/mod.ts";
import { Session, takeArgmax, takeLogits } from "../../core/session.ts";
import { argmax } from "../../core/sampler.ts";
import { assertRefused } from "../support/refusals.ts";
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
const model = await tinyModel(1, {}, backend);
const IDS = randomIds(2, 40);

test("prefill() and decode() append to the session's own slot", async () => {
  const cache = cacheOf(model, 40, null, 2);
  const [first, second] = [new Session(model, cache), new Session(model, cache, 40, 1)];
  await takeLogits(model, await first.prefill(randomIds(3, 30)));
  await takeLogits(model, await second.prefill(IDS.slice(0, 20)));
  await takeLogits(model, await second.prefill(IDS.slice(20, 39)));
  assert.equal(second.length, 39);
  const logits = await takeLogits(model, await second.decode(IDS[39], denseOf(model)));
  assert.deepEqual(logits, rowOf(await denseLogits(model, IDS), 39));
  assert.deepEqual([first.length, second.length], [30, 40]);
  cache.free();
});

test("truncate() forgets tokens, so that other ones may follow", async () => {
  const cache = cacheOf(model, 40);
  const session = new Session(model, cache);
  await takeLogits(model, await session.prefill(randomIds(4, 40)));
  session.truncate(0);
  await takeLogits(model, await session.prefill([...IDS.slice(0, 10), ...randomIds(5, 20)]));
  session.truncate(10);
  const logits = await takeLogits(model, await session.prefill(IDS.slice(10)));
  assert.deepEqual(logits, rowOf(await denseLogits(model, IDS), 39));
  assert.throws(() => session.truncate(41), RangeError);
  cache.free();
});

test("prefill() and decode() refuse more tokens than the context holds, with both counts", async () => {
  const cache = cacheOf(model, 40);
  const session = new Session(model, cache, 32);
  await assertRefused(session.prefill(IDS), "usage", /40 tokens.*32.*--context/);
  assert.equal(session.length, 0);
  await takeLogits(model, await session.prefill(IDS.slice(0, 32)));
  await assertRefused(session.decode(5, denseOf(model)), "usage", /33 tokens.*32/);
  await assert.rejects(session.prefill([]), RangeError);
  cache.free();
});

test("prefill() tells its progress and stops when it is aborted", async () => {
  const cache = cacheOf(model, 40);
  const session = new Session(model, cache);
  const controller = new AbortController();
  const progress: number[][] = [];
  const prefill = session.prefill(IDS, {
    chunk: 16,
    signal: controller.signal,
    onProgress: (done, total) => {
      progress.push([done, total]);
      if (done === 32) controller.abort(new Error("enough"));
    },
  });
  await assert.rejects(prefill, /enough/);
  assert.deepEqual(progress, [[16, 40], [32, 40]]);
  assert.equal(session.length, 32);
  cache.free();
});

test("takeArgmax() and takeLogits() read the logits and free them", async () => {
  const cache = cacheOf(model, 40);
  const session = new Session(model, cache);
  const expected = argmax(rowOf(await denseLogits(model, IDS), 39));
  assert.equal(await takeArgmax(model, await session.prefill(IDS)), expected);
  session.truncate(39);
  await takeArgmax(model, await session.decode(IDS[39], denseOf(model)));
  const before = live.size;
  session.truncate(39);
  assert.equal(argmax(await takeLogits(model, await session.decode(IDS[39], denseOf(model)))), expected);
  assert.equal(live.size, before);
  cache.free();
});
