import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_FORCED, headTokens, plainTokens } from "../../../core/attention/budget.ts";

const sixteenth = { kind: "ratio", tokenSparsity: 1 / 16 } as const;

test("headTokens() is ⌈β·N⌉ when the share is 1 and there is room beside the forced", () => {
  assert.equal(headTokens(sixteenth, DEFAULT_FORCED, 1, 2048), 128);
  assert.equal(headTokens(sixteenth, DEFAULT_FORCED, 1, 2049), 129);
  assert.equal(headTokens({ kind: "ratio", tokenSparsity: 0.1 }, DEFAULT_FORCED, 1, 300), 30);
});

test("headTokens() shares out only what is free when shares differ", () => {
  assert.equal(headTokens(sixteenth, DEFAULT_FORCED, 2, 2048), 21 + 2 * 107);
  assert.equal(headTokens(sixteenth, DEFAULT_FORCED, 0.5, 2048), Math.ceil(21 + 107 / 2));
});

test("headTokens() keeps four free tokens when the forced fill the budget, and never exceeds kvLen", () => {
  assert.equal(headTokens(sixteenth, DEFAULT_FORCED, 1, 100), 25);
  assert.equal(headTokens(sixteenth, DEFAULT_FORCED, 1, 20), 20);
  assert.equal(headTokens(sixteenth, DEFAULT_FORCED, Infinity, 2048), 2048);
  assert.equal(headTokens({ kind: "tokens", heavyTokens: 256 }, DEFAULT_FORCED, 1, 8192), 256);
});

test("plainTokens() rounds up and stays between 1 and kvLen", () => {
  assert.equal(plainTokens(sixteenth, 2048), 128);
  assert.equal(plainTokens(sixteenth, 1), 1);
  assert.equal(plainTokens({ kind: "tokens", heavyTokens: 50 }, 20), 20);
});
