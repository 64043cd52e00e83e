import assert from "node:assert/strict";
import { test } from "node:test";
import { klDivergence, logSoftmax, Mean } from "../../../core/evaluation/metrics.ts";

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-12, `${actual}, wanted ${expected}`);

test("logSoftmax() gives logarithms of probabilities, however large the logits", () => {
  for (const shift of [0, 1e4, -1e4]) {
    const logs = logSoftmax(Float32Array.of(1 + shift, 3 + shift, 2 + shift));
    const total = Math.log(Math.exp(-2) + 1 + Math.exp(-1));
    [-2, 0, -1].forEach((value, i) => near(logs[i], value - total));
  }
  near(logSoftmax(Float32Array.of(-3, -3))[0], -Math.LN2);
});

test("klDivergence() is Σ p·ln(p/q), 0 only where both agree", () => {
  const p = Float64Array.of(0.5, 0.25, 0.25).map(Math.log);
  const q = Float64Array.of(0.25, 0.25, 0.5).map(Math.log);
  near(klDivergence(p, q), 0.5 * Math.log(2) + 0.25 * Math.log(0.5));
  assert.equal(klDivergence(p, p), 0);
  assert.ok(klDivergence(q, p) > 0);
  const almost = logSoftmax(Float32Array.of(1, 2, 3));
  assert.ok(klDivergence(almost, almost.map((x) => x + 1e-17)) >= 0);
});

test("Mean gives the mean and its standard error", () => {
  const mean = new Mean();
  assert.ok(Number.isNaN(mean.mean));
  for (const value of [2, 4, 4, 6]) mean.add(value);
  assert.equal(mean.count, 4);
  assert.equal(mean.mean, 4);
  near(mean.standardError, Math.sqrt(8 / 3 / 4));
  const same = new Mean();
  for (let i = 0; i < 10; i++) same.add(0.1);
  assert.ok(same.standardError < 1e-8);
});
