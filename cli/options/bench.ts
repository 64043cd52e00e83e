import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map } from "@optique/core/modifiers";
import { argument, constant } from "@optique/core/primitives";
import type { LabelLayout } from "../../core/backend.ts";
import type { Flags } from "./flags.ts";
import { cudaLibraryFlag, jsonFlag, modelFlags, NAMED_BACKENDS, threadsFlag } from "./model.ts";
import { count, counts, labelLayout, oneOf, path, ratio, real, someOf } from "./values.ts";

export const BENCH_KINDS = ["attention", "decode", "prefill"] as const;

export type BenchKind = (typeof BENCH_KINDS)[number];

/** What `ds bench` was asked for. */
export interface BenchOptions {
  readonly kind: BenchKind;
  /** "cpu", "webgpu", "cuda", "reference"; empty: those that work here. */
  readonly backends: readonly string[];
  /** Tokens cached. */
  readonly contexts: readonly number[];
  /** Sequences per step. */
  readonly batch: number;
  /** Hq, Hk, d of `attention`; decode and prefill take the model's. */
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** β = k/N in (0, 1]. */
  readonly sparsity: number;
  /** Null: the default layout of the head size. */
  readonly labels: LabelLayout | null;
  /** Of backend "cpu"; null: one per processor. */
  readonly threads: number | null;
  /** Of backend "cuda"; null: where it is found. */
  readonly cudaLibrary: string | null;
  /** Of decode and prefill. */
  readonly model: string;
  readonly calibration?: string;
  readonly csv: boolean;
  readonly json: boolean;
  /** Measurements per row, at least. */
  readonly samples: number;
  /** Measuring time per row, at least, in seconds. */
  readonly seconds: number;
}

const ABSENT_KINDS = {
  offload: `cannot be offload, which this version does not have: use ${BENCH_KINDS.join(", ")}`,
};

export function benchOptions(flags: Flags) {
  const given = object({
    command: constant("bench"),
    kind: argument(oneOf("KIND", BENCH_KINDS, ABSENT_KINDS), { description: message`What to measure.` }),
    backends: flags.value(
      "--backends",
      someOf("BACKENDS", NAMED_BACKENDS),
      "Where, separated by commas.",
      [],
      "those that work here",
    ),
    contexts: flags.value("--contexts", counts("LENGTHS", 1), "Tokens cached, separated by commas.", [
      4096,
      16384,
    ], "4k,16k"),
    batch: flags.value("--batch", count("N", 1, 4096), "Sequences per step.", 1),
    heads: flags.value("--heads", count("N", 1, 4096), "Query heads, of attention alone.", 32),
    kvHeads: flags.value("--kv-heads", count("N", 1, 4096), "KV heads, of attention alone.", 8),
    headDim: flags.value("--head-dim", count("N", 8, 1024), "Channels per head, of attention alone.", 128),
    sparsity: flags.value("--sparsity", ratio(), "Share of the cached tokens that a step reads.", 1 / 16),
    labels: flags.maybe(
      "--labels",
      labelLayout(),
      "Channels x bits kept per key, like 8x4+16x2.",
      "a sixteenth of f16 keys",
    ),
    threads: threadsFlag(flags),
    cudaLibrary: cudaLibraryFlag(flags),
    model: map(modelFlags(flags, "smollm2-135m").model, (model) => model ?? "smollm2-135m"),
    calibration: flags.maybe(
      "--calibration",
      path(),
      "A .dscal file of the model.",
      "the one shipped or cached",
    ),
    csv: flags.onOff("--csv", "Print comma-separated values."),
    json: jsonFlag(flags),
    samples: flags.value("--samples", count("N", 1, 100_000), "Measurements per row, at least.", 20),
    seconds: flags.value("--seconds", real("S", 0, 3600), "Measuring time per row, at least.", 0.5),
  });
  return map(given, ({ calibration, ...rest }): BenchOptions & { command: "bench" } => ({
    ...rest,
    ...(calibration !== null && { calibration }),
  }));
}
