import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  combineRankings,
  firstBadRanking,
  rankChannels,
  repeatRankings,
} from "../../calibrations/ranking.ts";
import { permutations, seeded } from "./sample.ts";

test("rankChannels() puts the largest first and the lower channel first among equals", () => {
  const importance = [0.5, 2, 0.5, 3, 1, 1, 1, 1];
  assert.deepEqual([...rankChannels(importance, 4)], [3, 1, 0, 2, 0, 1, 2, 3]);
});

test("rankChannels() orders any finite values into permutations that descend", () => {
  fc.assert(fc.property(
    fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 16, maxLength: 16 }),
    (importance) => {
      const ranking = rankChannels(importance, 8);
      assert.equal(firstBadRanking(ranking, 8), -1);
      for (let i = 0; i < 16; i++) {
        if (i % 8 === 0) continue;
        const [before, after] = [ranking[i - 1], ranking[i]];
        const row = i - i % 8;
        const [high, low] = [importance[row + before], importance[row + after]];
        assert.ok(high > low || (high === low && before < after));
      }
    },
  ));
});

test("rankChannels() refuses values it cannot order and sizes it cannot store", () => {
  assert.throws(() => rankChannels([1, NaN], 2), RangeError);
  assert.throws(() => rankChannels([1, Infinity], 2), RangeError);
  assert.throws(() => rankChannels([1, 2, 3], 2), RangeError);
  assert.throws(() => rankChannels(new Float32Array(257), 257), RangeError);
  assert.throws(() => rankChannels([], 0), RangeError);
});

test("combineRankings() orders by mean rank, the lower channel first among equals", () => {
  // Places of channels 0..3: 0 2 1 3 in the first row and 2 0 3 1 in the second, so the sums are 2 2 4 4.
  assert.deepEqual([...combineRankings(Uint8Array.of(0, 2, 1, 3, 1, 3, 0, 2), 2, 4)], [0, 1, 2, 3]);
  assert.deepEqual([...combineRankings(Uint8Array.of(3, 2, 1, 0, 3, 1, 2, 0, 2, 3, 1, 0), 3, 4)], [
    3,
    2,
    1,
    0,
  ]);
});

test("combineRankings() returns the rankings where groups are of one or agree", () => {
  const rankings = permutations(seeded(1), 6, 16);
  assert.deepEqual(combineRankings(rankings, 1, 16), rankings);
  assert.deepEqual(combineRankings(repeatRankings(rankings, 3, 16), 3, 16), rankings);
  assert.throws(() => combineRankings(rankings, 4, 16), RangeError);
});

test("combineRankings() does not depend on the order of a group's rows", () => {
  const rankings = permutations(seeded(2), 3, 32);
  const turned = new Uint8Array([...rankings.subarray(64), ...rankings.subarray(0, 64)]);
  assert.deepEqual(combineRankings(turned, 3, 32), combineRankings(rankings, 3, 32));
});

test("firstBadRanking() names the row that repeats or leaves the range", () => {
  assert.equal(firstBadRanking(Uint8Array.of(1, 0, 0, 1), 2), -1);
  assert.equal(firstBadRanking(Uint8Array.of(1, 0, 1, 1), 2), 1);
  assert.equal(firstBadRanking(Uint8Array.of(2, 0, 0, 1), 2), 0);
});
