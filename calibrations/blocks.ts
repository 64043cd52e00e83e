import { DsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";

/** Blocks shorter than this say too little: the sinks and recent tokens alone would be most of it. */
export const MIN_BLOCK_TOKENS = 64;

/**
 * Cuts a corpus into the token blocks to calibrate on: as many whole blocks as `tokens` asks for, drawn without repetition
 * by `seed` where the corpus has more, in the order of the text.
 *
 * @throws {DsError} kind "bad-data" where the corpus is shorter than one block
 */
export function cutBlocks(
  ids: readonly number[],
  options: {
    readonly tokens: number;
    readonly blockLength: number;
    readonly seed: number;
    readonly name: string;
  },
): number[][] {
  const { tokens, blockLength, seed, name } = options;
  const available = Math.floor(ids.length / blockLength);
  if (blockLength < MIN_BLOCK_TOKENS || available === 0) {
    throw new DsError(
      "bad-data",
      `Cannot calibrate on ${name}: it has ${ids.length} tokens, one block needs ${
        Math.max(blockLength, MIN_BLOCK_TOKENS)
      }; ` +
        `give a longer --corpus or a shorter --block (at least ${MIN_BLOCK_TOKENS})`,
    );
  }
  const wanted = Math.min(Math.max(Math.floor(tokens / blockLength), 1), available);
  return draw(available, wanted, seed).map((block) =>
    ids.slice(block * blockLength, (block + 1) * blockLength)
  );
}

/** `count` of 0 … available-1, ascending. */
function draw(available: number, count: number, seed: number): number[] {
  const all = Array.from({ length: available }, (_, i) => i);
  const random = new Random(seed);
  for (let i = 0; i < count; i++) {
    const j = i + Math.floor(random.next() * (available - i));
    [all[i], all[j]] = [all[j], all[i]];
  }
  return all.slice(0, count).sort((a, b) => a - b);
}
