import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ALIGNMENT, Arena } from "../../../backends/cpu/arena.ts";

const MEBI = 2 ** 20;

test("alloc() gives zeroed blocks that never overlap when others come and go", () => {
  const steps = fc.array(
    fc.record({ bytes: fc.integer({ min: 1, max: 5000 }), frees: fc.boolean(), which: fc.nat() }),
    { maxLength: 120 },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const arena = new Arena(0, MEBI);
      const live: { at: number; bytes: number; mark: number }[] = [];
      all.forEach(({ bytes, frees, which }, step) => {
        if (frees && live.length > 0) {
          const [gone] = live.splice(which % live.length, 1);
          arena.release(gone.at, gone.bytes);
          return;
        }
        const at = arena.alloc(bytes);
        assert.ok(at !== null);
        assert.equal(at % ALIGNMENT, 0);
        assert.ok(arena.bytes.subarray(at, at + bytes).every((byte) => byte === 0), "not zeroed");
        const mark = 1 + (step % 255);
        arena.bytes.fill(mark, at, at + bytes);
        live.push({ at, bytes, mark });
      });
      for (const { at, bytes, mark } of live) {
        assert.ok(arena.bytes.subarray(at, at + bytes).every((byte) => byte === mark), "overwritten");
      }
      for (const { at, bytes } of live) arena.release(at, bytes);
      assert.equal(arena.used, 0);
    }),
    { numRuns: 60 },
  );
});

test("alloc() uses freed neighbours as one block when memory is full", () => {
  const arena = new Arena(0, MEBI);
  const size = 256 * 1024;
  const blocks = [arena.alloc(size), arena.alloc(size), arena.alloc(size)];
  assert.equal(arena.alloc(size), null);
  for (const at of [0, 2, 1]) arena.release(blocks[at]!, size);
  assert.equal(arena.alloc(3 * size), blocks[0]);
});

test("alloc() gives null when the largest size would be passed", () => {
  const arena = new Arena(0, MEBI);
  assert.equal(arena.alloc(MEBI), null);
  assert.ok(arena.alloc(MEBI / 2) !== null);
  assert.ok(arena.room < MEBI / 2);
});
