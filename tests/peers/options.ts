import { parseArgs } from "node:util";
import { type RuntimeName, RUNTIMES } from "./engine_process.ts";

export const PARTS = ["greedy", "prefill", "smollm2", "wide"] as const;

export type Part = typeof PARTS[number];

export interface PeerOptions {
  /** Of ds; the peer runs on Node. */
  readonly runtime: RuntimeName;
  readonly backend: string;
  readonly threads: number;
  readonly parts: readonly Part[];
  /** Contexts to decode at instead of the usual ones. */
  readonly contexts: readonly number[] | null;
  /** Tokens of the timed prompt. */
  readonly prompt: number;
  /** Turns of each engine per case. */
  readonly rounds: number;
  /** Short contexts and few rounds: whether it works, not how fast it is. */
  readonly quick: boolean;
  /** smollm2-135m; null: the one `ds pull` fetched. */
  readonly model: string | null;
  /** File to write everything to. */
  readonly json: string | null;
}

export const USAGE = `Times ds beside node-llama-cpp (README.md).

  --runtime deno|bun|node   what ds runs on (default node)
  --backend NAME            of ds (default cpu)
  --threads N               of both (default 2)
  --parts LIST              of ${PARTS.join(",")} (default all)
  --contexts LIST           decode at these lengths, dense and sparse, instead of the usual ones
  --prompt N                tokens of the timed prefill (default 2000)
  --rounds N                turns of each engine per case (default 12)
  --quick                   short contexts, few rounds
  --model PATH              smollm2-135m as a GGUF file (default: where \`ds pull smollm2-135m\` puts it)
  --json FILE               write every sample, versions and the machine
`;

/** @returns null where help was asked for */
export function readOptions(words: readonly string[]): PeerOptions | null {
  const { values } = parseArgs({
    args: [...words],
    options: {
      runtime: { type: "string", default: "node" },
      backend: { type: "string", default: "cpu" },
      threads: { type: "string", default: "2" },
      parts: { type: "string", default: PARTS.join(",") },
      contexts: { type: "string" },
      prompt: { type: "string" },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      model: { type: "string" },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  const { quick } = values;
  return {
    runtime: oneOf(
      "--runtime",
      values.runtime,
      Object.keys(RUNTIMES) as RuntimeName[],
    ),
    backend: values.backend,
    threads: count("--threads", values.threads),
    parts: values.parts.split(",").map((part) => oneOf("--parts", part, PARTS)),
    contexts: values.contexts?.split(",").map((context) => count("--contexts", context)) ?? null,
    prompt: count("--prompt", values.prompt ?? (quick ? "256" : "2000")),
    rounds: count("--rounds", values.rounds ?? (quick ? "3" : "12")),
    quick,
    model: values.model ?? null,
    json: values.json ?? null,
  };
}

function oneOf<Name extends string>(
  flag: string,
  value: string,
  names: readonly Name[],
): Name {
  const found = names.find((name) => name === value);
  if (found === undefined) {
    throw new Error(`${flag} is one of ${names.join(", ")}: found ${value}`);
  }
  return found;
}

function count(flag: string, text: string): number {
  const value = Number(text);
  if (!(Number.isSafeInteger(value) && value >= 1)) {
    throw new Error(`${flag} takes whole numbers from 1: found ${text}`);
  }
  return value;
}
