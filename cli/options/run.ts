import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { argument, constant } from "@optique/core/primitives";
import type { InferValue } from "@optique/core/parser";
import type { Flags } from "./flags.ts";
import { attentionMode, backendFlags, jsonFlag, kvDtypeFlag, modelFlags, sparseFlags } from "./model.ts";
import { anyText, count, path, real } from "./values.ts";

export function runOptions(flags: Flags) {
  return object({
    command: constant("run"),
    prompt: optional(argument(anyText("PROMPT"), {
      description:
        message`What to continue or answer; - reads stdin, as does a pipe without a prompt (one last line end of it is dropped).`,
    })),
    file: flags.maybe(
      "--file",
      path(),
      "A file with the prompt, taken as it is; with PROMPT too, PROMPT follows it.",
    ),
    tokenIds: flags.maybe("--token-ids", path(), "A JSON array of token ids in place of text; - is stdin."),
    ...modelFlags(flags, "smollm2-135m, else stories260k where that cannot be had"),
    attention: flags.maybe(
      "--attention",
      attentionMode(),
      "Which cached tokens a step reads.",
      "double-sparsity",
    ),
    ...sparseFlags(flags),
    offload: flags.onOff("--offload", "Keep K and V in host memory: not in this version, refused."),
    ...backendFlags(flags),
    kvDtype: kvDtypeFlag(flags),
    context: flags.maybe(
      "--context",
      count("N", 2),
      "Most tokens, prompt and answer together.",
      "the model's",
    ),
    maxTokens: flags.value("--max-tokens", count("N", 1), "Most tokens to generate.", 256),
    temperature: flags.value(
      "--temperature",
      real("T", 0),
      "Spread of the choice; 0 always takes the likeliest.",
      0,
    ),
    topK: flags.value("--top-k", count("N", 0), "Choose among so many of the likeliest; 0: all.", 0),
    topP: flags.value(
      "--top-p",
      real("P", 0, 1, true),
      "Choose among the likeliest that reach this probability.",
      1,
    ),
    minP: flags.value(
      "--min-p",
      real("P", 0, 1),
      "Choose among those this times as likely as the likeliest.",
      0,
    ),
    repeatPenalty: flags.value(
      "--repeat-penalty",
      real("X", 0, Infinity, true),
      "Weakens tokens already seen.",
      1,
    ),
    stop: flags.list(
      "--stop",
      anyText("TEXT"),
      "End where this text appears, which is not shown; may be repeated.",
    ),
    seed: flags.value("--seed", count("N", 0), "Of the random choice: the same seed gives the same text.", 0),
    chat: flags.onOff(
      "--chat",
      "Put the prompt into the model's chat template: the default where it has one.",
    ),
    raw: flags.onOff("--raw", "Give the prompt to the model as it is."),
    compare: flags.onOff("--compare", "Run dense and sparse from one prefill and compare them."),
    json: jsonFlag(flags),
  });
}

export type RunOptions = InferValue<ReturnType<typeof runOptions>>;
