/** How the words of a command line become values; every refusal says what would have been right. */
import { message, text } from "@optique/core/message";
import { findSimilar } from "@optique/core/suggestion";
import type { ValueParser } from "@optique/core/valueparser";
import type { LabelLayout } from "../../core/backend.ts";
import { parseLabelLayout, printLabelLayout } from "../../core/labels.ts";
import { quote } from "../../core/quote.ts";

export type Value<T> = ValueParser<"sync", T>;

/**
 * @param read throws a RangeError, whose message is shown, where the text is no such value
 * @param choices offered by shell completion and, where complete, shown by `--help`
 */
export function valueOf<T>(
  metavar: string,
  placeholder: T,
  read: (text: string) => T,
  format: (value: T) => string = String,
  choices: readonly string[] = [],
): Value<T> {
  return {
    mode: "sync",
    metavar: metavar as Value<T>["metavar"],
    placeholder,
    format,
    parse(input) {
      try {
        return { success: true, value: read(input) };
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        return { success: false, error: message`${text(error.message)}` };
      }
    },
    *suggest(prefix) {
      for (const choice of choices) if (choice.startsWith(prefix)) yield { kind: "literal", text: choice };
    },
  };
}

/** Any text. */
export function anyText(metavar: string, known: readonly string[] = []): Value<string> {
  return valueOf(metavar, "", (text) => text, String, known);
}

/** A path, completed by the shell. */
export function path(metavar = "FILE"): Value<string> {
  const refuse = (text: string) => {
    if (text === "") throw new RangeError("needs a path, found nothing");
    return text;
  };
  return {
    ...valueOf(metavar, "", refuse),
    *suggest() {
      yield { kind: "file", type: "any" };
    },
  };
}

/** One of some words. @param absent words that are refused with a reason of their own */
export function oneOf<const T extends string>(
  metavar: string,
  choices: readonly T[],
  absent: Readonly<Record<string, string>> = {},
): Value<T> {
  return {
    ...valueOf(metavar, choices[0]!, (text) => pick(text, choices, absent), String, choices),
    choices,
  };
}

/** Several of some words, separated by commas. */
export function someOf<const T extends string>(
  metavar: string,
  choices: readonly T[],
  absent: Readonly<Record<string, string>> = {},
): Value<readonly T[]> {
  const read = (text: string) => {
    const words = listOf(text).map((word) => pick(word, choices, absent));
    const twice = words.find((word, i) => words.indexOf(word) !== i);
    if (twice !== undefined) throw new RangeError(`names ${twice} twice`);
    return words;
  };
  const suggest = function* (prefix: string) {
    const kept = prefix.slice(0, prefix.lastIndexOf(",") + 1);
    for (const choice of choices) {
      if ((kept + choice).startsWith(prefix)) yield { kind: "literal" as const, text: kept + choice };
    }
  };
  return { ...valueOf<readonly T[]>(metavar, [], read, (words) => words.join(",")), suggest };
}

function pick<T extends string>(
  word: string,
  choices: readonly T[],
  absent: Readonly<Record<string, string>>,
): T {
  const found = choices.find((choice) => choice === word.toLowerCase());
  if (found !== undefined) return found;
  const reason = Object.hasOwn(absent, word.toLowerCase()) ? absent[word.toLowerCase()] : undefined;
  if (reason !== undefined) throw new RangeError(reason);
  const near = findSimilar(word, choices, { maxDistance: 3 });
  const hint = near.length > 0 ? `; did you mean ${near.join(" or ")}?` : "";
  throw new RangeError(`must be ${wordsOf(choices)}: found ${quote(word)}${hint}`);
}

/** A whole number, of tokens or of anything: 4096, 4k, 1m. */
export function count(metavar: string, lowest: number, highest = 2 ** 31 - 1): Value<number> {
  return valueOf(metavar, lowest, (text) => readCount(text, lowest, highest));
}

/** Several whole numbers, separated by commas. */
export function counts(metavar: string, lowest: number, highest = 2 ** 31 - 1): Value<readonly number[]> {
  const read = (text: string) => listOf(text).map((word) => readCount(word, lowest, highest));
  return valueOf<readonly number[]>(metavar, [], read, (values) => values.join(","));
}

function readCount(text: string, lowest: number, highest: number): number {
  const match = /^([0-9]{1,16})([km]?)$/i.exec(text.trim());
  const unit = { "": 1, k: 1024, m: 1024 ** 2 }[(match?.[2] ?? "").toLowerCase()]!;
  const value = match === null ? NaN : Number(match[1]) * unit;
  if (value >= lowest && value <= highest) return value;
  const range = highest === 2 ** 31 - 1 ? `from ${lowest}` : `from ${lowest} to ${highest}`;
  throw new RangeError(`must be a whole number ${range} (4k is 4096): found ${quote(text)}`);
}

/** A decimal number of a closed range. @param above the lowest itself is refused */
export function real(metavar: string, lowest: number, highest = Infinity, above = false): Value<number> {
  return valueOf(metavar, highest === Infinity ? lowest + 1 : highest, (text) => {
    const value = /^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?$/i.test(text.trim()) ? Number(text) : NaN;
    if (Number.isFinite(value) && value <= highest && (above ? value > lowest : value >= lowest)) {
      return value;
    }
    const least = above ? `above ${lowest}` : `at least ${lowest}`;
    const range = highest === Infinity ? least : `${least} and at most ${highest}`;
    throw new RangeError(`must be a number ${range}: found ${quote(text)}`);
  });
}

/** β in (0, 1]: `1/16` or `0.0625`. */
export function ratio(metavar = "RATIO"): Value<number> {
  const read = (text: string) => {
    const match = /^\s*([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*(?:\/\s*([0-9]*\.?[0-9]+))?\s*$/i.exec(text);
    const value = match === null ? NaN : Number(match[1]) / Number(match[2] ?? 1);
    if (value > 0 && value <= 1) return value;
    throw new RangeError(`must be a ratio above 0 and at most 1, like 1/16 or 0.0625: found ${quote(text)}`);
  };
  return valueOf(metavar, 1 / 16, read, printRatio);
}

/** 1/16 where it is such a fraction, else the number. */
export function printRatio(value: number): string {
  const inverse = Math.round(1 / value);
  return inverse > 1 && 1 / inverse === value ? `1/${inverse}` : String(value);
}

export function labelLayout(): Value<LabelLayout> {
  return valueOf("LAYOUT", { wide: 8, narrow: 0 }, parseLabelLayout, printLabelLayout);
}

function listOf(text: string): string[] {
  const words = text.split(",").map((word) => word.trim());
  if (words.includes("")) throw new RangeError(`must be a list separated by commas: found ${quote(text)}`);
  return words;
}

function wordsOf(words: readonly string[]): string {
  return words.length === 1 ? words[0]! : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
