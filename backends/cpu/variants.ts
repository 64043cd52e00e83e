import type { Memory } from "./memory.ts";
import type { Queue } from "./queue.ts";
import { type BlockVariants, chooseBlockVariants } from "./block_variants.ts";
import { chooseWideVariants, type WideVariants } from "./wide_variants.ts";
import { chooseScoreVariants, type ScoreVariants } from "./score_variants.ts";

/**
 * Which of several kernels with the same results each op uses: those that compute rightly on this engine, and of them the
 * fastest.
 */
export interface Variants {
  readonly blocks: BlockVariants;
  readonly wide: WideVariants;
  readonly scores: ScoreVariants;
}

/** A numeric check and a few milliseconds of timing for each kernel that comes in more than one variant. */
export function chooseVariants(isRelaxed: boolean, queue: Queue, memory: Memory): Variants {
  return {
    blocks: chooseBlockVariants(isRelaxed, queue, memory),
    wide: chooseWideVariants(isRelaxed, queue, memory),
    scores: chooseScoreVariants(isRelaxed, queue, memory),
  };
}
