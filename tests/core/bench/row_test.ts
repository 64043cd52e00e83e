import assert from "node:assert/strict";
import { test } from "node:test";
import { benchRow } from "../../../core/bench/row.ts";

const facts = {
  backend: "reference",
  device: "a device",
  shape: "b1",
  context: 4096,
  mode: "double-sparsity",
  bytes: 2_000_000,
  ceilingGigabytesPerSecond: 40,
  timing: { samplesUs: [90, 100, 110], repeats: 2, warmups: 3, clock: "host" as const },
  tokens: 4,
};

test("benchRow() derives rates and shares when bytes and a dense step are known", () => {
  const row = benchRow({ ...facts, dense: { medianUs: 500, bytes: 20_000_000 } });
  assert.equal(row.medianUs, 100);
  assert.equal(row.p10Us, 92);
  assert.equal(row.p90Us, 108);
  assert.equal(row.samples, 3);
  assert.equal(row.gigabytesPerSecond, 20);
  assert.equal(row.fractionOfCeiling, 0.5);
  assert.equal(row.speedupOverDense, 5);
  assert.equal(row.byteLimitSpeedup, 10);
  assert.equal(row.tokensPerSecond, 40_000);
  assert.equal(row.aboveByteLimit, false);
  assert.deepEqual(row.samplesUs, [90, 100, 110]);
});

test("benchRow() marks a row when its speedup is above the byte limit", () => {
  assert.equal(benchRow({ ...facts, dense: { medianUs: 1100, bytes: 20_000_000 } }).aboveByteLimit, true);
});

test("benchRow() leaves numbers out when a part reads nothing of the cache", () => {
  const row = benchRow({ ...facts, bytes: null, tokens: null, dense: null });
  assert.equal(row.gigabytesPerSecond, null);
  assert.equal(row.fractionOfCeiling, null);
  assert.equal(row.speedupOverDense, null);
  assert.equal(row.byteLimitSpeedup, null);
  assert.equal(row.tokensPerSecond, null);
});
