import { Environment, parse, tokenize } from "@huggingface/jinja";
import { BoundedInterpreter } from "./chat_interpreter.ts";
import { forEachText, Shield } from "./chat_shield.ts";
import { DsError } from "./errors.ts";
import { quote } from "./quote.ts";
import { strftime } from "./strftime.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

/** One turn of a conversation; templates may read further keys (`name`, `tool_calls`, …). */
export interface ChatMessage {
  readonly role: string;
  /** Text; a list of parts or nothing where the template knows what to do with it. */
  readonly content?: unknown;
  readonly [key: string]: unknown;
}

export interface ChatOptions {
  /** Ends with the head of the assistant's turn, so that the model answers. Default false. */
  readonly addGenerationPrompt?: boolean;
  /** Functions the model may call, as JSON schemas. */
  readonly tools?: readonly unknown[];
  /** Further variables of the template, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** What `strftime_now` in a template says. Default: now. */
  readonly now?: Date;
}

export interface RenderOptions extends ChatOptions {
  readonly bosToken: string | null;
  readonly eosToken: string | null;
}

/** The longest published templates have about 20,000 characters. */
const MAX_TEMPLATE = 2 ** 17;
const MAX_BLANKS = 4096;
const MAX_RANGE = 1_000_000;

/**
 * The conversation as text, as Hugging Face transformers renders it (Jinja with trim_blocks and lstrip_blocks).
 *
 * @throws {DsError} kind "bad-data" where the template is malformed, refuses the conversation, or costs too much
 */
export function renderChat(
  template: string,
  messages: readonly ChatMessage[],
  options: RenderOptions,
): string {
  const { bosToken, eosToken, addGenerationPrompt = false, tools, variables = {}, now = new Date() } =
    options;
  if (template.length > MAX_TEMPLATE) {
    throw new DsError(
      "bad-data",
      `Cannot render the chat template as it has ${template.length} characters, more than ${MAX_TEMPLATE}`,
    );
  }
  // The parser goes through every run of blanks once for each of its characters.
  if (longestBlank(template) > MAX_BLANKS) {
    throw new DsError(
      "bad-data",
      `Cannot render the chat template as it has more than ${MAX_BLANKS} blanks in a row`,
    );
  }
  const given = { ...variables, messages, tools: tools ?? null, documents: null };
  const environment = new Environment();
  const interpreter = new BoundedInterpreter(environment, textSize(given));
  try {
    const set = (name: string, value: unknown): unknown =>
      value === undefined ? null : environment.set(name, value);
    for (const [name, value] of [["true", true], ["false", false], ["none", null]] as const) {
      set(name, value);
      set(name[0]!.toUpperCase() + name.slice(1), value);
    }
    set("range", (...bounds: unknown[]) => boundedRange(bounds, (steps) => interpreter.spend(steps)));
    set("strftime_now", (format: unknown) => strftime(now, String(format)));
    set("raise_exception", (reason: unknown) => {
      throw new DsError(
        "bad-data",
        `Cannot render the conversation as the chat template refuses it: ${quote(String(reason))}`,
      );
    });
    set("bos_token", bosToken ?? undefined);
    set("eos_token", eosToken ?? undefined);
    set("add_generation_prompt", addGenerationPrompt);
    for (const [name, value] of Object.entries(given)) set(name, value);
    const program = parse(tokenize(template, { trim_blocks: true, lstrip_blocks: true }));
    return String(interpreter.run(program).value);
  } catch (error) {
    if (error instanceof DsError) throw error;
    const reason = error instanceof RangeError
      ? "it nests too deeply"
      : `it is not one that ds understands: ${quote(error instanceof Error ? error.message : String(error))}`;
    throw new DsError("bad-data", `Cannot render the chat template as ${reason}`, { cause: error });
  }
}

/**
 * The conversation as token ids. Text that spells a special token counts as that token in the template itself and as plain text
 * in the messages, so that nobody can forge a turn.
 *
 * @throws {DsError} kind "bad-data", see `renderChat`
 */
export function encodeChat(
  tokenizer: Tokenizer,
  template: string,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): number[] {
  const shield = new Shield(tokenizer.specialTokens.keys(), [
    template,
    messages,
    options.tools,
    options.variables,
  ]);
  const text = renderChat(template, shield.cover(messages, 0), {
    ...options,
    ...(options.tools === undefined ? {} : { tools: shield.cover(options.tools, 0) }),
    ...(options.variables === undefined ? {} : { variables: shield.cover(options.variables, 0) }),
    bosToken: tokenizer.bosToken,
    eosToken: tokenizer.eosToken,
  });
  return tokenizer.encode(text, { addSpecial: false, parseSpecial: true, placeholders: shield.covered });
}

function textSize(value: unknown): number {
  let size = 0;
  forEachText(value, 0, (text) => size += text.length + 1);
  return size;
}

function longestBlank(text: string): number {
  let longest = 0;
  for (const [blank] of text.matchAll(/\s+/g)) longest = Math.max(longest, blank.length);
  return longest;
}

/** Python's `range`. */
function boundedRange(bounds: readonly unknown[], spend: (steps: number) => void): number[] {
  const [first, second, step = 1] = bounds;
  const start = second === undefined ? 0 : first;
  const stop = second === undefined ? first : second;
  if (![start, stop, step].every(Number.isSafeInteger) || step === 0) {
    throw new DsError("bad-data", "Cannot render the chat template as its range() is not of whole numbers");
  }
  const length = Math.max(0, Math.ceil((Number(stop) - Number(start)) / Number(step)));
  if (length > MAX_RANGE) {
    throw new DsError(
      "bad-data",
      `Cannot render the chat template as its range() has more than ${MAX_RANGE} numbers`,
    );
  }
  spend(length);
  return Array.from({ length }, (_, index) => Number(start) + index * Number(step));
}
