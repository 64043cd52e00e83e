import { Bench } from "tinybench";
import type { DeviceClock } from "../backend.ts";

/** One thing to time. */
export interface TimedCase {
  readonly name: string;
  /** Does it `repeats` times in a row and waits until the device is done. */
  run(repeats: number): Promise<void>;
}

export interface TimingOptions {
  /** Measurements wanted per case. */
  readonly samples: number;
  /** Least time measured per case. */
  readonly seconds: number;
  /** Repeats are doubled until one sample takes this long: waiting for a device costs too. 0: one repeat. */
  readonly sampleMs: number;
  /** Samples a case gets however long they take. */
  readonly leastSamples: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneSamples: number, totalSamples: number) => void;
  /** Milliseconds; default `performance.now`. */
  readonly now?: () => number;
  /** Counts instead of `now`: for what the device does without waiting for the host. */
  readonly clock?: DeviceClock | null;
}

export interface Timing {
  /** Microseconds of one repeat, in the order they were measured. */
  readonly samplesUs: readonly number[];
  /** Per sample. */
  readonly repeats: number;
  /** Runs before the first sample. */
  readonly warmups: number;
  /** Whose time the samples are. */
  readonly clock: "host" | "device";
}

/** Where fewer are asked for, enough for any percentile; bounds memory where an op takes no time at all. */
const MAX_SAMPLES = 10_000;
const MAX_REPEATS = 4096;
/** A case that takes longer than this many times `seconds` (half a second at least) ends with the samples it has. */
const PATIENCE = 20;
const LEAST_PATIENT_SECONDS = 0.5;

/**
 * Times cases in turn, one sample of each per round, the first of a round another each time: what drifts while
 * measuring (clock speed, heat, neighbours) falls on all of them alike.
 *
 * @throws the signal's reason, between two samples
 */
export async function timeInterleaved(
  cases: readonly TimedCase[],
  options: TimingOptions,
): Promise<Timing[]> {
  const { signal } = options;
  const states = [];
  for (const timed of cases) {
    states.push({ timed, ...await warmUp(timed, options), samplesUs: [] as number[], ms: 0 });
  }
  const { samples: wanted } = options;
  for (let round = 0; round < Math.max(MAX_SAMPLES, wanted); round++) {
    if (states.every((state) => isDone(state, options))) break;
    for (let i = 0; i < states.length; i++) {
      const state = states[(i + round) % states.length]!;
      if (isTooLong(state, options)) continue;
      await breathe();
      signal?.throwIfAborted();
      const ms = await sampleMs(state.timed, state.repeats, options);
      state.ms += ms;
      state.samplesUs.push((ms * 1000) / state.repeats);
    }
    options.onProgress?.(Math.min(round + 1, wanted), wanted);
  }
  const clock = options.clock ? "device" : "host";
  return states.map(({ samplesUs, repeats, warmups }) => ({ samplesUs, repeats, warmups, clock }));
}

interface Measured {
  readonly samplesUs: readonly number[];
  /** Of all samples. */
  readonly ms: number;
}

function isDone(state: Measured, options: TimingOptions): boolean {
  const enough = state.samplesUs.length >= options.samples && state.ms >= options.seconds * 1000;
  return enough || isTooLong(state, options);
}

function isTooLong({ samplesUs, ms }: Measured, { seconds, leastSamples }: TimingOptions): boolean {
  return samplesUs.length >= leastSamples && ms >= PATIENCE * Math.max(seconds, LEAST_PATIENT_SECONDS) * 1000;
}

/** Runs a case until engines have compiled it and the repeats per sample are known. */
async function warmUp(
  timed: TimedCase,
  options: TimingOptions,
): Promise<{ repeats: number; warmups: number }> {
  const enoughMs = Math.max(options.sampleMs, options.seconds * 250);
  let repeats = 1;
  let total = 0;
  for (let warmups = 1;; warmups++) {
    await breathe();
    options.signal?.throwIfAborted();
    const ms = await sampleMs(timed, repeats, options);
    total += ms;
    if (ms < options.sampleMs && repeats < MAX_REPEATS) {
      repeats *= 2;
    } else if (
      (warmups >= Math.min(2, options.leastSamples) && total >= enoughMs) || warmups >= MAX_SAMPLES
    ) {
      return { repeats, warmups };
    }
  }
}

/**
 * One sample, taken by tinybench where the host's clock counts; the rounds are ours, since its tasks run one after the other and drift would fall on one case.
 *
 * @throws what the case threw
 */
async function sampleMs(
  timed: TimedCase,
  repeats: number,
  { clock = null, now = () => performance.now() }: TimingOptions,
): Promise<number> {
  if (clock !== null) {
    clock.start();
    await timed.run(repeats);
    return await clock.stop();
  }
  const bench = new Bench({ iterations: 1, time: 0, warmup: false, throws: true, retainSamples: true, now });
  bench.add(timed.name, () => timed.run(repeats), { async: true });
  const [task] = await bench.run();
  const { result } = task;
  if (result.state !== "completed") {
    throw new Error(`Cannot time ${timed.name}: the run ended as ${result.state}`);
  }
  return result.latency.samples![0];
}

/** Lets Ctrl-C and timers through: a synchronous backend never yields by itself. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** The value a fraction `p` of the samples lie below, interpolated between neighbours. */
export function percentile(samples: readonly number[], p: number): number {
  if (samples.length === 0) throw new RangeError("Cannot take a percentile of no samples");
  const sorted = Float64Array.from(samples).sort();
  const at = p * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}
