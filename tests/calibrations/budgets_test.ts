import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { budgetsFromHeadKl, MAX_SHARE, MIN_SHARE, uniformBudgets } from "../../calibrations/budgets.ts";

test("budgetsFromHeadKl() shares by the square root of KL where nothing is clamped", () => {
  // Roots 1, 2, 3 have mean 2.
  assert.deepEqual([...budgetsFromHeadKl([1, 4, 9])], [0.5, 1, 1.5]);
});

test("budgetsFromHeadKl() clamps and then rescales to mean 1", () => {
  // Roots 0, 0, 0, 4 over their mean 1 are clamped to 0.35 and 2.5, whose mean is 0.8875.
  const budgets = budgetsFromHeadKl([0, 0, 0, 16]);
  const expected = [0.35, 0.35, 0.35, 2.5].map((share) => Math.fround(share / 0.8875));
  budgets.forEach((share, i) => assert.ok(Math.abs(share - expected[i]) < 1e-6));
  assert.ok(budgets[3] > MAX_SHARE);
});

test("budgetsFromHeadKl() is 1 everywhere where no head is hurt", () => {
  assert.deepEqual(budgetsFromHeadKl(new Float32Array(5)), uniformBudgets(5));
});

test("budgetsFromHeadKl() has mean 1, keeps the order and stays in the documented range", () => {
  fc.assert(fc.property(
    fc.array(fc.float({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 300 }),
    (headKl) => {
      const budgets = budgetsFromHeadKl(headKl);
      const mean = budgets.reduce((sum, share) => sum + share, 0) / budgets.length;
      assert.ok(Math.abs(mean - 1) < 1e-5, `mean ${mean}`);
      const low = MIN_SHARE / MAX_SHARE - 1e-6, high = MAX_SHARE / MIN_SHARE + 1e-6;
      assert.ok(budgets.every((share) => share >= low && share <= high));
      headKl.forEach((kl, i) => i === 0 || kl < headKl[i - 1] || assert.ok(budgets[i] >= budgets[i - 1]));
    },
  ));
});

test("budgetsFromHeadKl() refuses what is no KL", () => {
  for (const bad of [-1e-9, NaN, Infinity]) assert.throws(() => budgetsFromHeadKl([1, bad]), RangeError);
});
