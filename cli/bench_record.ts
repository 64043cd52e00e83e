import type { Ceiling } from "../core/bench/ceiling.ts";
import type { BenchRow } from "../core/bench/row.ts";
import { printLabelLayout } from "../core/labels.ts";
import { VERSION } from "../core/version.ts";
import { describeRuntime } from "../runtime/machine.ts";
import { sourceRevision } from "./bench_revision.ts";
import { BENCH_SEED } from "./bench_run.ts";
import type { BenchOptions } from "./options/bench.ts";
import { printRatio } from "./options/values.ts";

/** A backend that was measured, and how fast its device copies. */
export interface BenchDevice {
  readonly backend: string;
  readonly name: string;
  /** The machine around it. */
  readonly host: string;
  readonly ceiling: Ceiling;
}

/** What `--json` prints: everything that is needed to measure it again and to judge it. */
export function benchRecord(
  options: BenchOptions,
  devices: readonly BenchDevice[],
  rows: readonly BenchRow[],
) {
  const { runtime, ...machine } = describeRuntime();
  return {
    command: commandLine(options),
    options: { ...options, seed: BENCH_SEED },
    versions: { ds: VERSION, runtime },
    revision: sourceRevision(),
    measuredAt: new Date().toISOString(),
    runtime: machine,
    device: devices,
    rows,
  };
}

/** The command that does the same again, every default spelt out. */
export function commandLine(options: BenchOptions): string {
  const { kind, backends, labels, threads, cudaLibrary, calibration } = options;
  const words = ["ds bench", kind];
  if (backends.length > 0) words.push(`--backends ${backends.join(",")}`);
  words.push(`--contexts ${options.contexts.join(",")}`);
  if (kind !== "prefill") words.push(`--batch ${options.batch}`);
  if (kind === "attention") {
    words.push(`--heads ${options.heads} --kv-heads ${options.kvHeads} --head-dim ${options.headDim}`);
  } else words.push(`--model ${quoted(options.model)}`);
  if (kind !== "prefill") {
    words.push(`--sparsity ${printRatio(options.sparsity)}`);
    if (labels !== null) words.push(`--labels ${printLabelLayout(labels)}`);
  }
  if (kind === "decode" && calibration !== undefined) words.push(`--calibration ${quoted(calibration)}`);
  if (threads !== null) words.push(`--threads ${threads}`);
  if (cudaLibrary !== null) words.push(`--cuda-library ${quoted(cudaLibrary)}`);
  words.push(`--samples ${options.samples} --seconds ${options.seconds}`);
  return words.join(" ");
}

function quoted(word: string): string {
  return /^[\w./:@+=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
