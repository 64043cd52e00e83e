import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import type { InferValue } from "@optique/core/parser";
import { argument, constant } from "@optique/core/primitives";
import type { Flags } from "./flags.ts";
import { attentionModes, backendFlags, jsonFlag, kvDtypeFlag, modelFlags, sparseFlags } from "./model.ts";
import { count, oneOf, path, real } from "./values.ts";

export const EVAL_TASKS = ["perplexity"] as const;

const ABSENT_TASKS = Object.fromEntries(
  ["retrieval", "needle"].map((
    task,
  ) => [task, `cannot be ${task}, which this version does not have: use perplexity`]),
);

export function evalOptions(flags: Flags) {
  return object({
    command: constant("eval"),
    task: argument(oneOf("TASK", EVAL_TASKS, ABSENT_TASKS), { description: message`What to measure.` }),
    text: flags.maybe(
      "--text",
      path(),
      "The text to measure on; - is stdin.",
      "a small text that ships with ds",
    ),
    tokenIds: flags.maybe("--token-ids", path(), "A JSON array of token ids in place of text; - is stdin."),
    ...modelFlags(flags, "smollm2-135m"),
    attention: flags.value(
      "--attention",
      attentionModes(),
      "Modes to measure, separated by commas.",
      ["dense", "double-sparsity"],
    ),
    ...sparseFlags(flags),
    context: flags.maybe(
      "--context",
      count("N", 2),
      "Tokens per window.",
      "1024, or what model and text allow",
    ),
    windows: flags.value("--windows", count("N", 1), "Windows, taken from the start of the text.", 1),
    skip: flags.value("--skip", count("N", 0), "Positions at the start of a window that do not count.", 0),
    setting: flags.value(
      "--setting",
      oneOf("SETTING", ["served", "harsh"]),
      "served: each position is one sparse step after a dense prefill; harsh: later positions see sparse K and V.",
      "served",
    ),
    logProbabilities: flags.maybe(
      "--log-probabilities",
      path(),
      "A JSON file to write every position's into.",
    ),
    maxKl: flags.maybe("--max-kl", real("NATS", 0), "End with exit code 3 where a mode's KL is above this."),
    maxPerplexity: flags.maybe(
      "--max-perplexity",
      real("X", 0),
      "End with exit code 3 where a mode's perplexity is above this.",
    ),
    ...backendFlags(flags),
    kvDtype: kvDtypeFlag(flags),
    json: jsonFlag(flags),
  });
}

export type EvalOptions = InferValue<ReturnType<typeof evalOptions>>;
