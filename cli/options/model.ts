/** Flags that several commands share. */
import { availableParallelism } from "node:os";
import { ATTENTION_MODES } from "../../core/attention/attention.ts";
import type { Flags } from "./flags.ts";
import { anyText, count, labelLayout, oneOf, path, ratio, someOf } from "./values.ts";

export const BACKENDS = ["auto", "cpu", "webgpu", "cuda", "reference"] as const;
export const NAMED_BACKENDS = ["cpu", "webgpu", "cuda", "reference"] as const;
export const KV_DTYPES = ["f32", "f16", "bf16"] as const;
export const MODEL_NAMES = ["smollm2-135m", "stories260k"] as const;

/** Modes that are planned, refused by name until they are there. */
const ABSENT_MODES = Object.fromEntries(
  ["quest", "h2o", "sparq", "loki"].map((mode) => [
    mode,
    `cannot be ${mode}, which this version does not have: use one of ${ATTENTION_MODES.join(", ")}`,
  ]),
);

export function jsonFlag(flags: Flags) {
  return flags.onOff("--json", "Print one JSON object instead of text.");
}

export function modelFlags(flags: Flags, fallback: string | null) {
  const model = anyText("MODEL", MODEL_NAMES);
  const what = "A path, a name that ds knows (ds pull) or a Hugging Face id found in the local cache.";
  return {
    model: flags.maybe("--model", model, what, fallback ?? "none"),
    tokenizer: flags.maybe(
      "--tokenizer",
      path("PATH"),
      "A tokenizer.json, a folder with one, or a llama2.c tokenizer.bin.",
      "the model's own",
    ),
  };
}

export function backendFlags(flags: Flags) {
  return {
    backend: flags.value(
      "--backend",
      oneOf("BACKEND", BACKENDS),
      "Where to compute.",
      "auto",
      "auto, the best that works here",
    ),
    threads: threadsFlag(flags),
    cudaLibrary: cudaLibraryFlag(flags),
  };
}

export function cudaLibraryFlag(flags: Flags) {
  return flags.maybe(
    "--cuda-library",
    path("PATH"),
    "The library of backend cuda.",
    "libds_cuda beside the executable, or where deno task build:cuda puts it",
  );
}

/** More than this only take turns, at the price of a stack and an engine each. */
const MOST_THREADS_PER_PROCESSOR = 4;

export function threadsFlag(flags: Flags) {
  const most = MOST_THREADS_PER_PROCESSOR * availableParallelism();
  return flags.maybe("--threads", count("N", 1, most), "Threads of backend cpu.", "one per processor");
}

export function kvDtypeFlag(flags: Flags) {
  return flags.maybe("--kv-dtype", oneOf("DTYPE", KV_DTYPES), "How K and V are kept.", "the backend's best");
}

export function attentionMode() {
  return oneOf("MODE", ATTENTION_MODES, ABSENT_MODES);
}

export function attentionModes() {
  return someOf("MODES", ATTENTION_MODES, ABSENT_MODES);
}

/** What shapes the sparse modes. */
export function sparseFlags(flags: Flags) {
  return {
    calibration: flags.maybe(
      "--calibration",
      path(),
      "A .dscal file of this model.",
      "the one shipped or cached for the model, else a quick one is made and cached",
    ),
    sparsity: flags.maybe("--sparsity", ratio(), "Share of the cached tokens that a step reads.", "1/16"),
    heavyTokens: flags.maybe(
      "--heavy-tokens",
      count("N", 1),
      "Tokens that a step reads, instead of a share; wins over --sparsity.",
    ),
    labels: flags.maybe(
      "--labels",
      labelLayout(),
      "Channels x bits kept per key to score it by, like 8x4+16x2.",
      "a sixteenth of the bytes of f16 keys",
    ),
    perHead: flags.onOff("--per-head", "Choose tokens per query head instead of per KV head."),
    noTail: flags.onOff("--no-tail", "Leave out the virtual token that stands for everything not read."),
    denseBelow: flags.maybe(
      "--dense-below",
      count("N", 0),
      "Sequences shorter than this run dense.",
      "0, but 512 for a ds run that is told nothing of attention",
    ),
    evenBudgets: flags.onOff("--even-budgets", "Give every KV head the same budget, whatever was measured."),
  };
}

/** What `sparseFlags` gives. */
export interface SparseChoices {
  readonly calibration: string | null;
  /** Null: 1/16. */
  readonly sparsity: number | null;
  readonly heavyTokens: number | null;
  readonly labels: import("../../core/backend.ts").LabelLayout | null;
  readonly perHead: boolean;
  readonly noTail: boolean;
  /** Null: not said. */
  readonly denseBelow: number | null;
  readonly evenBudgets: boolean;
}
