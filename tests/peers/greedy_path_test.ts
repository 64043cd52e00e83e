import assert from "node:assert/strict";
import { test } from "node:test";
import { comparePaths, describePath, NEAR_TIE, sharedTokens } from "./greedy_path.ts";

const golden = { ids: [10, 11, 12, 13], margins: [2, NEAR_TIE / 2, 3, 0.01] };
const path = { name: "p", promptIds: [1, 2], golden };
const exact = { engine: "a", free: golden.ids, guided: golden.ids };

test("comparePaths() passes engines that leave the golden path at near ties only", () => {
  const other = {
    engine: "b",
    free: [10, 99, 98, 97],
    guided: [10, 99, 12, 96],
  };
  const report = comparePaths(path, [exact, other]);
  assert.equal(report.passed, true);
  assert.equal(report.agreed, 1);
  assert.deepEqual(report.engines[0], { engine: "a", golden: 4, misses: [] });
  assert.equal(report.engines[1].golden, 1);
  assert.deepEqual(report.engines[1].misses.map(({ step }) => step), [1, 3]);
});

test("comparePaths() fails an engine that misses a clear choice, even behind a near tie", () => {
  const other = {
    engine: "b",
    free: [10, 99, 98, 97],
    guided: [10, 99, 50, 13],
  };
  const report = comparePaths(path, [exact, other]);
  assert.equal(report.passed, false);
  assert.match(describePath(report), /FAILED[^]*2 \(margin 3\.000\)/);
});

test("comparePaths() only tells how far engines agree where there are no golden values", () => {
  const engines = [
    { engine: "a", free: [1, 2, 3], guided: null },
    { engine: "b", free: [1, 2, 4], guided: null },
  ];
  const report = comparePaths({ ...path, golden: null }, engines);
  assert.equal(report.passed, true);
  assert.equal(report.agreed, 2);
  assert.equal(describePath(report), "p: 2 of 3 tokens the same\n");
});

test("sharedTokens() counts the common beginning, up to the shorter path's end", () => {
  assert.equal(sharedTokens([1, 2, 3], [1, 2, 3]), 3);
  assert.equal(sharedTokens([1, 2, 3], [1, 2]), 2);
  assert.equal(sharedTokens([1, 2], [1, 2, 3]), 2);
  assert.equal(sharedTokens([5], [6]), 0);
});
