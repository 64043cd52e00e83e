/** Every command: its options, its words for `--help`, and what runs it. */
import { message, text } from "@optique/core/message";
import type { InferValue, Parser } from "@optique/core/parser";
import type { UsageTerm } from "@optique/core/usage";
import type { CommandTerminal } from "./command_terminal.ts";
import { benchOptions } from "./options/bench.ts";
import { calibrateOptions } from "./options/calibrate.ts";
import { evalOptions } from "./options/eval.ts";
import type { Flags } from "./options/flags.ts";
import { doctorOptions, exportOptions, inspectOptions, planOptions, pullOptions } from "./options/others.ts";
import { runOptions } from "./options/run.ts";

/** What a command says of itself. */
export interface CommandWords {
  readonly brief: string;
  /** What stands behind the name in the usage line. */
  readonly operands: readonly UsageTerm[];
  readonly description: string;
  readonly examples: readonly string[];
}

const one = (metavar: string): UsageTerm => ({ type: "argument", metavar: metavar as "X" });
const maybe = (metavar: string): UsageTerm => ({ type: "optional", terms: [one(metavar)] });

export const OPTIONS = {
  run: runOptions,
  calibrate: calibrateOptions,
  bench: benchOptions,
  eval: evalOptions,
  inspect: inspectOptions,
  plan: planOptions,
  doctor: doctorOptions,
  pull: pullOptions,
  export: exportOptions,
} satisfies Record<string, (flags: Flags) => Parser<"sync", { command: string; json: boolean }, unknown>>;

export type CommandName = keyof typeof OPTIONS;

export type CommandOptions = {
  [Name in CommandName]: InferValue<ReturnType<(typeof OPTIONS)[Name]>>;
}[CommandName];

export const WORDS: Readonly<Record<CommandName, CommandWords>> = {
  run: {
    brief: "Generate text, streaming.",
    operands: [maybe("PROMPT")],
    description:
      "Generates text from a prompt: an argument, a file, or stdin. Text goes to stdout as it comes, a line of " +
      "figures to stderr at the end.",
    examples: [
      'ds run "Why is the sky blue?"',
      'ds run --file book.txt "What became of the ship?" --compare',
    ],
  },
  calibrate: {
    brief: "Find a model's heavy channels: makes a .dscal file.",
    operands: [],
    description:
      "Measures on a text which channels of the keys decide attention scores, and how much sparsity each KV " +
      "head bears. The same model, text and options give the same file.",
    examples: [
      "ds calibrate --model smollm2-135m --corpus book.txt --block 4k --tokens 16k --out smollm2.dscal",
    ],
  },
  bench: {
    brief: "Measure speed against dense attention and the device's ceiling.",
    operands: [one("KIND")],
    description: "Measures attention alone, whole decode steps, or prefill.",
    examples: [
      "ds bench attention --contexts 4k,16k,64k --backends cpu",
      "ds bench decode --model smollm2-135m --contexts 8k",
    ],
  },
  eval: {
    brief: "Measure quality against dense attention.",
    operands: [one("TASK")],
    description:
      "Perplexity, KL divergence and agreement of attention modes on windows from the start of a text.",
    examples: [
      "ds eval perplexity --text book.txt --context 4k --attention dense,double-sparsity,oracle",
      "ds eval perplexity --text book.txt --max-kl 0.01",
    ],
  },
  inspect: {
    brief: "Check a model, calibration or tokenizer and tell what it is.",
    operands: [one("X")],
    description: "Reads and validates a file or folder and prints its facts.",
    examples: ["ds inspect smollm2-135m", "ds inspect smollm2.dscal --json"],
  },
  plan: {
    brief: "Tell the memory a model needs before it is loaded.",
    operands: [],
    description:
      "Weights, KV cache, labels and workspace at a context length, whether they fit this machine, and the " +
      "bytes a step reads, dense and sparse.",
    examples: ["ds plan --model smollm2-135m --context 8k --batch 4"],
  },
  doctor: {
    brief: "Tell which backends work here, and test them.",
    operands: [],
    description:
      "Prints runtime, machine, folders and models, tries every backend, and checks each on the embedded model.",
    examples: ["ds doctor"],
  },
  pull: {
    brief: "Get a model.",
    operands: [maybe("NAME")],
    description: "Fetches a model into the cache and verifies it: smollm2-135m, or a Hugging Face id.",
    examples: ["ds pull smollm2-135m", "ds pull HuggingFaceTB/SmolLM2-360M-Instruct"],
  },
  export: {
    brief: "Write a calibration in the published JSON format.",
    operands: [one("CALIBRATION")],
    description: "Writes the channel rankings of a .dscal file as a channel config.",
    examples: ["ds export smollm2.dscal --out config.json"],
  },
};

export function examplesOf(words: CommandWords) {
  return message`${text(`Example${words.examples.length > 1 ? "s" : ""}:  ${words.examples.join("  ·  ")}`)}`;
}

/** Runs a command; its code is loaded now. @returns the exit code, where it is not 0 */
export async function runCommand(options: CommandOptions, terminal: CommandTerminal): Promise<number | void> {
  switch (options.command) {
    case "run":
      return await (await import("./run.ts")).runCommand(options, terminal);
    case "calibrate":
      return await (await import("./calibrate.ts")).calibrateCommand(options, terminal);
    case "bench":
      return await (await import("./bench.ts")).benchCommand(options, terminal);
    case "eval":
      return await (await import("./eval.ts")).evalCommand(options, terminal);
    case "inspect":
      return await (await import("./inspect.ts")).inspectCommand(options, terminal);
    case "plan":
      return await (await import("./plan.ts")).planCommand(options, terminal);
    case "doctor":
      return await (await import("./doctor.ts")).doctorCommand(options, terminal);
    case "pull":
      return await (await import("./pull.ts")).pullCommand(options, terminal);
    case "export":
      return await (await import("./export.ts")).exportCommand(options, terminal);
  }
}
