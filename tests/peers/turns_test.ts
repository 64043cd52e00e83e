import assert from "node:assert/strict";
import { test } from "node:test";
import { takeTurns } from "./turns.ts";

test("takeTurns() runs one after the other, another one first each round, and drops the first steps", async () => {
  const order: string[] = [];
  let working = 0;
  const turn = (name: string, steps: readonly number[]) => ({
    name,
    run: async () => {
      assert.equal(working++, 0, "two at a time");
      await new Promise((resolve) => setTimeout(resolve, 1));
      working--;
      order.push(name);
      return steps;
    },
  });
  const turns = [turn("a", [9, 1, 2]), turn("b", [9, 3]), turn("c", [9])];
  const samples = await takeTurns(turns, 3, { discard: 1, settleMs: 0 });
  assert.equal(order.join(""), "abcbcacab");
  assert.deepEqual(Object.fromEntries(samples), {
    a: [1, 2, 1, 2, 1, 2],
    b: [3, 3, 3],
    c: [],
  });
});
