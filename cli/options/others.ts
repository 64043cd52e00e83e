/** Options of the commands that have few. */
import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map, optional } from "@optique/core/modifiers";
import type { InferValue } from "@optique/core/parser";
import { argument, constant } from "@optique/core/primitives";
import type { Flags } from "./flags.ts";
import { backendFlags, cudaLibraryFlag, jsonFlag, kvDtypeFlag, MODEL_NAMES, modelFlags } from "./model.ts";
import { anyText, count, labelLayout, path, ratio } from "./values.ts";

export function inspectOptions(flags: Flags) {
  return object({
    command: constant("inspect"),
    target: argument(path("X"), {
      description:
        message`A model (path, name or Hugging Face id), a .dscal file, a tokenizer file, a published channel config.`,
    }),
    tokenizer: modelFlags(flags, null).tokenizer,
    kvHeads: flags.maybe(
      "--kv-heads",
      count("N", 1, 4096),
      "KV heads, where X is a channel config.",
      "as many as its k_proj has",
    ),
    json: jsonFlag(flags),
  });
}

export function planOptions(flags: Flags) {
  return object({
    command: constant("plan"),
    ...modelFlags(flags, "smollm2-135m"),
    context: flags.maybe("--context", count("N", 2), "Tokens per sequence.", "the model's"),
    batch: flags.value("--batch", count("N", 1, 65536), "Sequences held at once.", 1),
    sparsity: flags.value("--sparsity", ratio(), "Share of the cached tokens that a step reads.", 1 / 16),
    labels: flags.maybe(
      "--labels",
      labelLayout(),
      "Channels x bits kept per key, like 8x4+16x2.",
      "a sixteenth of f16 keys",
    ),
    ...backendFlags(flags),
    kvDtype: kvDtypeFlag(flags),
    json: jsonFlag(flags),
  });
}

export function doctorOptions(flags: Flags) {
  return object({
    command: constant("doctor"),
    cudaLibrary: cudaLibraryFlag(flags),
    json: jsonFlag(flags),
  });
}

export function pullOptions(flags: Flags) {
  return object({
    command: constant("pull"),
    name: map(
      optional(argument(anyText("NAME", MODEL_NAMES), {
        description: message`A name that ds knows, or a Hugging Face id (org/name, org/name@revision).`,
      })),
      (name) => name ?? "smollm2-135m",
    ),
    force: flags.onOff("--force", "Fetch it again even if it is here."),
    json: jsonFlag(flags),
  });
}

export function exportOptions(flags: Flags) {
  return object({
    command: constant("export"),
    calibration: argument(path("CALIBRATION"), { description: message`A .dscal file.` }),
    out: flags.maybe("--out", path(), "The JSON file to write.", "stdout"),
    json: jsonFlag(flags),
  });
}

export type InspectOptions = InferValue<ReturnType<typeof inspectOptions>>;
export type PlanOptions = InferValue<ReturnType<typeof planOptions>>;
export type DoctorOptions = InferValue<ReturnType<typeof doctorOptions>>;
export type PullOptions = InferValue<ReturnType<typeof pullOptions>>;
export type ExportOptions = InferValue<ReturnType<typeof exportOptions>>;
