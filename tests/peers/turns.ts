/** One of the things measured in turn. */
export interface Turn {
  readonly name: string;
  /** @returns milliseconds of its steps, the first of which does not count */
  run(): Promise<readonly number[]>;
}

/** Between turns: threads that wait for work by spinning have gone to sleep by then. */
const SETTLE_MS = 30;

/**
 * Takes turns, one of each per round, the first of a round another each time: what drifts while measuring falls on all
 * alike.
 *
 * @returns milliseconds of all steps that count, by name
 */
export async function takeTurns(
  turns: readonly Turn[],
  rounds: number,
  { discard, settleMs = SETTLE_MS }: {
    readonly discard: number;
    readonly settleMs?: number;
  },
): Promise<Map<string, number[]>> {
  const samples = new Map<string, number[]>(
    turns.map(({ name }) => [name, []]),
  );
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < turns.length; i++) {
      const { name, run } = turns[(i + round) % turns.length];
      await new Promise((resolve) => setTimeout(resolve, settleMs));
      samples.get(name)!.push(...(await run()).slice(discard));
    }
  }
  return samples;
}
