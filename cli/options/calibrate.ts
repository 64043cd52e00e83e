import { object } from "@optique/core/constructs";
import type { InferValue } from "@optique/core/parser";
import { constant } from "@optique/core/primitives";
import type { Flags } from "./flags.ts";
import { backendFlags, jsonFlag, modelFlags } from "./model.ts";
import { count, path } from "./values.ts";

export function calibrateOptions(flags: Flags) {
  return object({
    command: constant("calibrate"),
    ...modelFlags(flags, "smollm2-135m; with --import alone: none, the rankings are kept as they are"),
    corpus: flags.maybe(
      "--corpus",
      path(),
      "The text to calibrate on; - is stdin.",
      "a small text that ships with ds",
    ),
    tokens: flags.value("--tokens", count("N", 64), "Tokens of it to use.", 8192),
    block: flags.maybe(
      "--block",
      count("N", 64),
      "Tokens prefilled together; best as long as the context to be served.",
      "2048, or what model and text allow",
    ),
    out: flags.maybe("--out", path(), "The file to write.", "model name.dscal"),
    seed: flags.value("--seed", count("N", 0), "Of the choice of blocks from a longer text.", 0),
    quick: flags.onOff("--quick", "Leave out recall and budgets: much quicker, some quality lost."),
    import: flags.maybe("--import", path(), "A published channel config (JSON): its rankings are kept."),
    kvHeads: flags.maybe(
      "--kv-heads",
      count("N", 1, 4096),
      "KV heads of the model an import is for.",
      "the model's",
    ),
    ...backendFlags(flags),
    json: jsonFlag(flags),
  });
}

export type CalibrateOptions = InferValue<ReturnType<typeof calibrateOptions>>;
