import type { Memory } from "./memory.ts";
import type { Queue } from "./queue.ts";

export interface ScoreVariants {
  readonly isRelaxed: boolean;
}

export function chooseScoreVariants(isRelaxed: boolean, _queue: Queue, _memory: Memory): ScoreVariants {
  return { isRelaxed };
}
