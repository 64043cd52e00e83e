import assert from "node:assert/strict";
import { test } from "node:test";
import { percentile, type TimedCase, timeInterleaved } from "../../../core/bench/timing.ts";

/** Cases on a clock of their own: a repeat of case i takes `costs[i]` milliseconds. */
function clock(...costs: number[]) {
  let time = 0;
  const order: string[] = [];
  const cases = costs.map((cost, i): TimedCase => ({
    name: String(i),
    run: (repeats) => {
      time += cost * repeats;
      order.push(String(i));
      return Promise.resolve();
    },
  }));
  return { cases, order, now: () => time };
}

test("timeInterleaved() takes a sample of every case per round, another first each time, when all are cheap", async () => {
  const { cases, order, now } = clock(4, 1);
  const timings = await timeInterleaved(cases, { samples: 4, seconds: 0, sampleMs: 0, leastSamples: 3, now });
  assert.deepEqual(timings.map(({ samplesUs }) => samplesUs), [[4000, 4000, 4000, 4000], [
    1000,
    1000,
    1000,
    1000,
  ]]);
  assert.equal(order.slice(-8).join(""), "01100110");
  assert.deepEqual(timings.map(({ warmups }) => warmups), [2, 2]);
});

test("timeInterleaved() doubles repeats until a sample is long enough when an op is short", async () => {
  const { cases, now } = clock(0.3);
  const [timing] = await timeInterleaved(cases, {
    samples: 3,
    seconds: 0,
    sampleMs: 2,
    leastSamples: 3,
    now,
  });
  assert.equal(timing!.repeats, 8);
  for (const us of timing!.samplesUs) assert.ok(Math.abs(us - 300) < 1e-6);
});

test("timeInterleaved() goes on for the least time when samples are short", async () => {
  const { cases, now } = clock(1);
  const [timing] = await timeInterleaved(cases, {
    samples: 3,
    seconds: 0.1,
    sampleMs: 0,
    leastSamples: 3,
    now,
  });
  assert.equal(timing!.samplesUs.length, 100);
});

test("timeInterleaved() gives up on a case with the samples it has when it takes too long", async () => {
  const { cases, now } = clock(60_000, 1);
  const timings = await timeInterleaved(cases, {
    samples: 20,
    seconds: 0.05,
    sampleMs: 0,
    leastSamples: 3,
    now,
  });
  assert.equal(timings[0]!.samplesUs.length, 3);
  assert.ok(timings[1]!.samplesUs.length >= 20);
});

test("timeInterleaved() ends between samples when its signal is aborted", async () => {
  const abort = new AbortController();
  let runs = 0;
  const endless: TimedCase = {
    name: "endless",
    run: () => {
      if (++runs === 5) setTimeout(() => abort.abort(new Error("stopped")), 0);
      return Promise.resolve();
    },
  };
  const options = { samples: 10_000, seconds: 0, sampleMs: 0, leastSamples: 3, signal: abort.signal };
  await assert.rejects(timeInterleaved([endless], options), /stopped/);
  assert.ok(runs < 20, `${runs} runs`);
});

test("percentile() interpolates between neighbours when samples are unordered", () => {
  assert.equal(percentile([30, 10, 20, 100], 0.5), 25);
  assert.equal(percentile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 0.1), 2);
  assert.equal(percentile([7], 0.9), 7);
  assert.throws(() => percentile([], 0.5), RangeError);
});
