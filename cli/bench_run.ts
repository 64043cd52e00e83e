import type { Backend } from "../core/backend.ts";
import type { Ceiling } from "../core/bench/ceiling.ts";
import type { BenchRow } from "../core/bench/row.ts";
import { type TimedCase, timeInterleaved, type Timing, type TimingOptions } from "../core/bench/timing.ts";
import type { BenchOptions } from "./options/bench.ts";
import type { Terminal } from "./terminal.ts";

/** Of everything drawn at random: two runs measure the same data. */
export const BENCH_SEED = 1;

/** One kind of measurement, ready to run on any backend. */
export interface BenchKindRun {
  /** @throws {DsError} kind "out-of-memory" where a context would not fit */
  check(backend: Backend): void;
  measure(backend: Backend, ceiling: Ceiling, add: (row: BenchRow) => void): Promise<void>;
  close(): Promise<void>;
}

/** Samples as asked for; a sample lasts long enough that waiting for the device hardly counts. */
export function sampleOptions(
  { samples, seconds }: BenchOptions,
  { signal }: Terminal,
  onProgress: (done: number, total: number) => void,
): Omit<TimingOptions, "leastSamples"> {
  return { samples, seconds, sampleMs: Math.min(10, (seconds * 1000) / samples), signal, onProgress };
}

/** Times some cases with a bar on stderr. */
export async function timeWithBar(
  cases: readonly TimedCase[],
  label: string,
  options: BenchOptions,
  terminal: Terminal,
  overrides: Partial<TimingOptions> = {},
): Promise<Timing[]> {
  const bar = terminal.progress(label, options.samples, "samples");
  try {
    const timing = sampleOptions(options, terminal, (done, total) => bar.update(done, total));
    return await timeInterleaved(cases, { ...timing, leastSamples: 3, ...overrides });
  } finally {
    bar.end();
  }
}
