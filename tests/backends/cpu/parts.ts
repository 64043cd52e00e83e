import type { Arena } from "../../../backends/cpu/arena.ts";
import { ARENA_BYTES, Memory } from "../../../backends/cpu/memory.ts";
import { compileKernels } from "../../../backends/cpu/module.ts";
import { Pool } from "../../../backends/cpu/pool.ts";
import { Queue } from "../../../backends/cpu/queue.ts";

/** What the backend is made of, for tests that look below its contract. */
export interface Parts {
  readonly isRelaxed: boolean;
  readonly memory: Memory;
  readonly arena: Arena;
  readonly queue: Queue;
}

export async function withParts(
  threads: number,
  relaxed: boolean,
  body: (parts: Parts) => void | Promise<void>,
): Promise<void> {
  const { module, isRelaxed } = compileKernels(relaxed);
  const memory = new Memory(null, ARENA_BYTES / 16);
  const pool = new Pool(module, memory.arenas, threads);
  const queue = new Queue(pool, memory.arenas);
  try {
    await body({ isRelaxed, memory, arena: memory.arenas[0], queue });
  } finally {
    await pool.close();
  }
}
