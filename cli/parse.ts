import { or } from "@optique/core/constructs";
import { runParser } from "@optique/core/facade";
import { formatMessage, lineBreak, type Message, message, text } from "@optique/core/message";
import type { Parser } from "@optique/core/parser";
import { command } from "@optique/core/primitives";
import { findSimilar } from "@optique/core/suggestion";
import { extractOptionNames, type UsageTerm } from "@optique/core/usage";
import { VERSION } from "../core/version.ts";
import type { Environment } from "../runtime/environment.ts";
import { type CommandName, type CommandOptions, examplesOf, OPTIONS, WORDS } from "./commands.ts";
import { EXIT_CODE_LINES } from "./exit_codes.ts";
import { Flags } from "./options/flags.ts";
import { quote } from "../core/quote.ts";

/** What a command line asks for. */
export type Parsed =
  | { readonly kind: "command"; readonly options: CommandOptions }
  /** Help, the version or a completion script: text for stdout. */
  | { readonly kind: "shown"; readonly text: string }
  | { readonly kind: "refused"; readonly message: string };

export interface ParseSurroundings {
  readonly environment: Environment;
  readonly colour: boolean;
  readonly columns: number;
}

const NAMES = Object.keys(OPTIONS) as CommandName[];
const OPTIONS_TERM: UsageTerm = { type: "optional", terms: [{ type: "argument", metavar: "OPTIONS" }] };

const SHELLS = ["bash", "zsh", "fish", "nu", "pwsh"];

const TOP_USAGE: readonly UsageTerm[] = [{ type: "argument", metavar: "COMMAND" }, OPTIONS_TERM];

const ENVIRONMENT =
  "Environment: every option has a variable, which its help names (DS_MODEL, DS_BACKEND, ...); the option wins. " +
  "DS_HOME: where ds keeps its files. DS_OFFLINE=1: no network. DS_DEBUG=1: where an error came from. NO_COLOR, " +
  "FORCE_COLOR: colours.";

const ABOUT = "Long-context decoding that reads a sixteenth of the KV cache (Double Sparsity).";

/** @throws {DsError} kind "usage" where a variable of the environment has a bad value */
export function parseArguments(argv: readonly string[], surroundings: ParseSurroundings): Parsed {
  const { colour, columns } = surroundings;
  const flags = new Flags(surroundings.environment);
  const parsers = new Map<string, Parser<"sync", CommandOptions, unknown>>(
    NAMES.map((name) => [name, OPTIONS[name](flags) as Parser<"sync", CommandOptions, unknown>]),
  );
  const commands = NAMES.map((name) => {
    const words = WORDS[name];
    return command(name, parsers.get(name)!, {
      brief: message`${text(words.brief)}`,
      description: message`${text(words.description)}`,
      footer: examplesOf(words),
      usageLine: [...words.operands, OPTIONS_TERM],
    });
  });
  let shown = "";
  const show = (): Parsed => ({ kind: "shown", text: shown });
  const parsed = runParser<Parser<"sync", CommandOptions, unknown>, Parsed, Parsed>(
    or(...commands) as Parser<"sync", CommandOptions, unknown>,
    "ds",
    argv,
    {
      brief: message`${text(`ds ${VERSION}. ${ABOUT}`)}`,
      usageLine: TOP_USAGE as UsageTerm[],
      footer: message`${text(ENVIRONMENT)}${lineBreak()}${lineBreak()}${
        text(`Exit codes: ${EXIT_CODE_LINES.join(" · ")}`)
      }`,
      help: { option: { names: ["-h", "--help"] }, command: true, onShow: show },
      version: { value: VERSION, option: true, onShow: show },
      completion: { command: { names: ["completions"] }, onShow: show },
      colors: colour,
      maxWidth: Math.max(40, Math.min(columns, 110)),
      aboveError: "none",
      stdout: (line) => shown += line.endsWith("\n") ? line : `${line}\n`,
      stderr: () => {},
      onError: (_code, error) => ({ kind: "refused", message: refusal(argv, error, parsers) }),
    },
  ) as CommandOptions | Parsed;
  return "kind" in parsed && (parsed.kind === "shown" || parsed.kind === "refused")
    ? parsed as Parsed
    : { kind: "command", options: parsed as CommandOptions };
}

/** One sentence, with the nearest names where a name was not known. */
function refusal(
  argv: readonly string[],
  error: Message,
  parsers: ReadonlyMap<string, Parser<"sync", unknown, unknown>>,
) {
  const [name] = argv;
  const parser = name === undefined ? undefined : parsers.get(name);
  const help = parser === undefined ? "ds --help" : `ds ${name} --help`;
  if (name === undefined) return "Cannot start without a command: see ds --help";
  if (name === "help" && argv.length > 1) {
    const word = argv[1]!;
    return `Cannot help with ${quote(word)}: ds has no such command${hint(word, NAMES)}; see ${help}`;
  }
  if (name === "completions") {
    const shell = argv[1] ?? "";
    return `Cannot complete for ${quote(shell)}: the shells are ${SHELLS.join(", ")}${hint(shell, SHELLS)}`;
  }
  const unknown = unknownWord(error);
  if (unknown === null) {
    const reason = formatMessage(error, { quotes: false, colors: false }).replace(/\s+/g, " ").replace(
      /\.$/,
      "",
    );
    return `${reason}; see ${help}`;
  }
  if (parser === undefined) {
    return `Cannot run ${quote(name)}: ds has no such command${
      hint(name, [...NAMES, "help", "completions"])
    }; see ${help}`;
  }
  if (!unknown.startsWith("-")) {
    return `Cannot use ${quote(unknown)}: ds ${name} takes no more words; see ${help}`;
  }
  const flag = unknown.split("=", 1)[0]!;
  const known = [...extractOptionNames(parser.usage)];
  if (known.includes(flag as "--x")) return `Cannot use ${flag} twice; see ${help}`;
  return `Cannot use ${quote(flag)}: ds ${name} has no such option${hint(flag, known)}; see ${help}`;
}

/** The word that no parser wanted, where that is the error. */
function unknownWord(error: Message): string | null {
  const [first, second] = error;
  const isUnknown = first?.type === "text" && first.text.startsWith("Unexpected option or");
  if (isUnknown && second?.type === "optionName") return second.optionName;
  return isUnknown && second?.type === "value" ? second.value : null;
}

function hint(word: string, known: readonly string[]): string {
  const near = findSimilar(word, known, { maxDistance: 3, maxDistanceRatio: 0.7, maxSuggestions: 3 });
  return near.length > 0 ? `; did you mean ${near.join(" or ")}?` : "";
}
