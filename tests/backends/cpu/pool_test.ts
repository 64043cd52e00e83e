import assert from "node:assert/strict";
import { test } from "node:test";
import { Arena } from "../../../backends/cpu/arena.ts";
import { ADD } from "../../../backends/cpu/kernels/ops.ts";
import { compileKernels } from "../../../backends/cpu/module.ts";
import { Pool } from "../../../backends/cpu/pool.ts";
import { Queue } from "../../../backends/cpu/queue.ts";

const UNKNOWN_OP = 31;

for (const threads of [1, 2, 5]) {
  test(`Pool.run() does every command once, in order, when ${threads} threads share them`, async () => {
    const arena = new Arena(0, 2 ** 24);
    const pool = new Pool(compileKernels().module, [arena], threads);
    const queue = new Queue(pool, [arena]);
    const count = 20_000;
    const x = arena.alloc(4 * count)!;
    const one = arena.alloc(4 * count)!;
    arena.floats.fill(1, one / 4, one / 4 + count);
    // Each command reads what the one before wrote; more of them than a list holds.
    const commands = 2500;
    for (let i = 0; i < commands; i++) {
      queue.begin(ADD, arena);
      queue.int(x);
      queue.int(one);
      queue.int(count);
    }
    queue.flush();
    const sums = arena.floats.subarray(x / 4, x / 4 + count);
    assert.ok(sums.every((sum) => sum === commands));
    await pool.close();
  });

  test(`Pool.run() throws and stays closable when a kernel fails on ${threads} threads`, async () => {
    const arena = new Arena(0, 2 ** 20);
    const pool = new Pool(compileKernels().module, [arena], threads);
    const queue = new Queue(pool, [arena]);
    queue.begin(UNKNOWN_OP, arena);
    assert.throws(() => queue.flush(), /kernel of backend "cpu" failed: open the backend again/);
    await pool.close();
  });
}
