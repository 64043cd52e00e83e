import type { Filled } from "./decode.ts";
import { percentile, type Timing } from "./timing.ts";

/** One line of `ds bench`. Null: has no such number. */
export interface BenchRow {
  readonly backend: string;
  readonly device: string;
  readonly shape: string;
  /** N */
  readonly context: number;
  readonly mode: string;
  readonly medianUs: number;
  readonly p10Us: number;
  readonly p90Us: number;
  /** How many there are. */
  readonly samples: number;
  /** What must be read at least. */
  readonly bytes: number | null;
  /** `bytes` over the median. */
  readonly gigabytesPerSecond: number | null;
  /** Read and written bytes of copies on this device in this run. */
  readonly ceilingGigabytesPerSecond: number;
  readonly fractionOfCeiling: number | null;
  readonly speedupOverDense: number | null;
  /** Dense bytes over these bytes: what a step that waits for memory alone could gain. */
  readonly byteLimitSpeedup: number | null;
  readonly tokensPerSecond: number | null;
  /** The speedup is above its limit: the dense baseline, not the sparse step, then wants a look. */
  readonly aboveByteLimit: boolean;
  /** Where the cached tokens came from. */
  readonly filled: Filled | null;
  /** Copies of the data gone through in turn. */
  readonly copies: number;
  readonly workingSetBytes: number | null;
  readonly warmups: number;
  /** Times the op ran per sample; `samplesUs` are of one. */
  readonly repeats: number;
  /** Whose time they are. */
  readonly clock: "host" | "device";
  readonly samplesUs: readonly number[];
}

export interface RowFacts {
  readonly backend: string;
  readonly device: string;
  readonly shape: string;
  readonly context: number;
  readonly mode: string;
  readonly bytes: number | null;
  readonly ceilingGigabytesPerSecond: number;
  readonly timing: Timing;
  /** The dense step beside it; null for what has none. */
  readonly dense: { readonly medianUs: number; readonly bytes: number } | null;
  /** Tokens that one repeat makes or reads in; null where it does neither. */
  readonly tokens: number | null;
  readonly filled?: Filled;
  readonly copies?: number;
  readonly workingSetBytes?: number;
}

export function benchRow(facts: RowFacts): BenchRow {
  const { timing, bytes, dense, tokens, ceilingGigabytesPerSecond } = facts;
  const medianUs = percentile(timing.samplesUs, 0.5);
  const gigabytesPerSecond = bytes === null ? null : bytes / medianUs / 1000;
  const speedupOverDense = dense && dense.medianUs / medianUs;
  const byteLimitSpeedup = dense && bytes !== null ? dense.bytes / bytes : null;
  return {
    backend: facts.backend,
    device: facts.device,
    shape: facts.shape,
    context: facts.context,
    mode: facts.mode,
    medianUs,
    p10Us: percentile(timing.samplesUs, 0.1),
    p90Us: percentile(timing.samplesUs, 0.9),
    samples: timing.samplesUs.length,
    bytes,
    gigabytesPerSecond,
    ceilingGigabytesPerSecond,
    fractionOfCeiling: gigabytesPerSecond === null ? null : gigabytesPerSecond / ceilingGigabytesPerSecond,
    speedupOverDense,
    byteLimitSpeedup,
    tokensPerSecond: tokens === null ? null : (tokens * 1e6) / medianUs,
    aboveByteLimit: speedupOverDense !== null && byteLimitSpeedup !== null &&
      speedupOverDense > byteLimitSpeedup * (1 + 1e-9),
    filled: facts.filled ?? null,
    copies: facts.copies ?? 1,
    workingSetBytes: facts.workingSetBytes ?? null,
    warmups: timing.warmups,
    repeats: timing.repeats,
    clock: timing.clock,
    samplesUs: timing.samplesUs,
  };
}
