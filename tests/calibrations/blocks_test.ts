import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cutBlocks, MIN_BLOCK_TOKENS } from "../../calibrations/blocks.ts";
import { DsError } from "../../core/errors.ts";

const corpus = (length: number) => Array.from({ length }, (_, i) => i);
const cut = (length: number, options: { tokens?: number; blockLength?: number; seed?: number } = {}) =>
  cutBlocks(corpus(length), { tokens: 500, blockLength: 100, seed: 0, name: "book.txt", ...options });

test("cutBlocks() gives whole blocks in the order of the text, none twice, when there is more than is asked for", () => {
  const options = fc.record({
    length: fc.integer({ min: 64, max: 5000 }),
    blockLength: fc.integer({ min: MIN_BLOCK_TOKENS, max: 500 }),
    tokens: fc.nat(6000),
    seed: fc.nat(),
  });
  fc.assert(fc.property(options, ({ length, blockLength, tokens, seed }) => {
    fc.pre(length >= blockLength);
    const blocks = cut(length, { blockLength, tokens, seed });
    const available = Math.floor(length / blockLength);
    assert.equal(blocks.length, Math.min(Math.max(Math.floor(tokens / blockLength), 1), available));
    let last = -1;
    for (const block of blocks) {
      assert.equal(block.length, blockLength);
      assert.equal(block[0] % blockLength, 0);
      assert.ok(block[0] > last);
      block.forEach((id, i) => assert.equal(id, block[0] + i));
      last = block[0];
    }
  }));
});

test("cutBlocks() draws the same blocks when the seed is the same, others when it is not", () => {
  const firsts = (seed: number) => cut(20_000, { seed }).map(([first]) => first);
  assert.deepEqual(firsts(7), firsts(7));
  assert.notDeepEqual(firsts(7), firsts(8));
  const seen = new Set(Array.from({ length: 300 }, (_, seed) => firsts(seed)).flat());
  assert.equal(seen.size, 200, "every block of the text is drawn by some seed");
});

test("cutBlocks() takes the whole text when it has no more than is asked for", () => {
  assert.deepEqual(cut(420).map(([first]) => first), [0, 100, 200, 300]);
});

test("cutBlocks() refuses a text or a block that is too short, naming both lengths", () => {
  for (const [length, blockLength, needed] of [[99, 100, "100"], [5000, 63, "64"], [0, 64, "64"]] as const) {
    assert.throws(
      () => cut(length, { blockLength }),
      (error) =>
        error instanceof DsError && error.kind === "bad-data" && error.message.includes("book.txt") &&
        error.message.includes(`${length} tokens`) && error.message.includes(needed),
    );
  }
});
