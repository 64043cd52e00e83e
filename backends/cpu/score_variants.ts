import { relaxedDot } from "./block_variants.ts";
import { DOT_PLAIN } from "./kernels/ops.ts";
import type { Memory } from "./memory.ts";
import type { Queue } from "./queue.ts";

/** How label codes meet queries (DOT_* of `kernels/ops.ts`). */
export interface ScoreVariants {
  readonly dot: number;
}

/** No code is above 15, so that every engine's relaxed product is exact. */
export function chooseScoreVariants(isRelaxed: boolean, queue: Queue, memory: Memory): ScoreVariants {
  return { dot: isRelaxed ? relaxedDot(queue, memory) : DOT_PLAIN };
}
