import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type MergeTable, mergeTokens, RankedMerges, ScoredMerges } from "../../../core/tokenizer/bpe.ts";

/** The rule itself: merge the leftmost of the best pairs until none is left. */
function mergedOneByOne(tokens: readonly number[], table: MergeTable): number[] {
  const ids = [...tokens];
  for (;;) {
    let best = -1;
    let bestRank = Infinity;
    for (let at = 0; at + 1 < ids.length; at++) {
      const merge = table.find(ids[at], ids[at + 1]);
      if (merge >= 0 && table.rank(merge) < bestRank) {
        best = at;
        bestRank = table.rank(merge);
      }
    }
    if (best < 0) return ids;
    ids.splice(best, 2, table.result(table.find(ids[best], ids[best + 1])));
  }
}

const tokens = fc.array(fc.nat(3), { maxLength: 60 });

test("mergeTokens() equals merging one by one when merges are ranked", () => {
  const merges = fc.array(fc.tuple(fc.nat(12), fc.nat(12), fc.nat(12)), { maxLength: 30 });
  fc.assert(
    fc.property(tokens, merges, (word, list) => {
      const table = new RankedMerges(list.length);
      list.forEach(([left, right, result], merge) => table.set(merge, left, right, result));
      assert.deepEqual(mergeTokens(word, table), mergedOneByOne(word, table));
    }),
    { numRuns: 400, seed: 2 },
  );
});

test("mergeTokens() equals merging one by one when merges are scored", () => {
  const pieces = fc.uniqueArray(
    fc.string({ unit: fc.constantFrom("a", "b", "c", "d"), minLength: 2, maxLength: 5 }),
    {
      maxLength: 25,
    },
  );
  fc.assert(
    fc.property(tokens, pieces, fc.infiniteStream(fc.nat(6)), (word, made, scores) => {
      const texts = ["a", "b", "c", "d", ...made];
      const ids = new Map(texts.map((text, id) => [text, id]));
      const values = Float32Array.from(texts, () => -scores.next().value!);
      const table = new ScoredMerges(texts, ids, values);
      assert.deepEqual(mergeTokens(word, table), mergedOneByOne(word, table));
    }),
    { numRuns: 400, seed: 3 },
  );
});

test("mergeTokens() takes linear-logarithmic time when a word is very long", () => {
  const table = new RankedMerges(2);
  table.set(0, 0, 1, 2);
  table.set(1, 2, 2, 3);
  const word = Array.from({ length: 400_000 }, (_, at) => at % 2);
  const started = performance.now();
  assert.equal(mergeTokens(word, table).length, 100_000);
  assert.ok(performance.now() - started < 10_000);
});
