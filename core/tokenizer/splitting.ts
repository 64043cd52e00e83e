import { spell } from "./byte_level.ts";
import { Pattern } from "./pattern.ts";

/**
 * One step on the way from text to words.
 *
 * @param atStart whether the piece begins the whole text
 */
export type SplitStep = (piece: string, atStart: boolean) => readonly string[];

/** What becomes of the matches of a rule. */
export type SplitBehaviour =
  | "Isolated"
  | "Removed"
  | "MergedWithPrevious"
  | "MergedWithNext"
  | "Contiguous";

export const SPLIT_BEHAVIOURS: readonly SplitBehaviour[] = [
  "Isolated",
  "Removed",
  "MergedWithPrevious",
  "MergedWithNext",
  "Contiguous",
];

/** Starts and ends of matches: [start, end, start, end, …]. */
type Matches = (text: string) => readonly number[];

interface Stretch {
  start: number;
  end: number;
  readonly isMatch: boolean;
}

/** @param invert what lies between the matches counts as the match */
export function splitBy(matches: Matches, behaviour: SplitBehaviour, invert = false): SplitStep {
  return (piece) => {
    const stretches: Stretch[] = [];
    let done = 0;
    const found = matches(piece);
    for (let at = 0; at < found.length; at += 2) {
      const start = found[at]!;
      const end = found[at + 1]!;
      if (start > done) stretches.push({ start: done, end: start, isMatch: invert });
      stretches.push({ start, end, isMatch: !invert });
      done = end;
    }
    if (done < piece.length) stretches.push({ start: done, end: piece.length, isMatch: invert });
    return arrange(stretches, behaviour)
      .filter(({ start, end }) => end > start)
      .map(({ start, end }) => piece.slice(start, end));
  };
}

function arrange(stretches: readonly Stretch[], behaviour: SplitBehaviour): readonly Stretch[] {
  switch (behaviour) {
    case "Isolated":
      return stretches;
    case "Removed":
      return stretches.filter(({ isMatch }) => !isMatch);
    case "Contiguous":
      return joined(stretches, (one, last) => one.isMatch === last.isMatch);
    case "MergedWithPrevious":
      return joined(stretches, (one, last) => one.isMatch && !last.isMatch);
    case "MergedWithNext":
      return joinedBackwards(stretches);
  }
}

/** Joins a stretch to what is before it where `joins` says so of it and its neighbour. */
function joined(stretches: readonly Stretch[], joins: (one: Stretch, last: Stretch) => boolean): Stretch[] {
  const result: Stretch[] = [];
  let last: Stretch | null = null;
  for (const one of stretches) {
    const open = result.at(-1);
    if (last !== null && open !== undefined && joins(one, last)) open.end = one.end;
    else result.push({ ...one });
    last = one;
  }
  return result;
}

function joinedBackwards(stretches: readonly Stretch[]): Stretch[] {
  const result: Stretch[] = [];
  let last: Stretch | null = null;
  for (const one of stretches.toReversed()) {
    const open = result.at(-1);
    if (last !== null && open !== undefined && one.isMatch && !last.isMatch) open.start = one.start;
    else result.push({ ...one });
    last = one;
  }
  return result.reverse();
}

/** @throws {PatternError} */
export function splitByRule(rule: string, behaviour: SplitBehaviour = "Isolated", invert = false): SplitStep {
  const pattern = new Pattern(rule);
  return splitBy((text) => pattern.matches(text), behaviour, invert);
}

export function splitByText(wanted: string, behaviour: SplitBehaviour, invert: boolean): SplitStep {
  return splitBy((text) => {
    const found: number[] = [];
    if (wanted === "") return found;
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
      found.push(at, at + wanted.length);
    }
    return found;
  }, behaviour, invert);
}

/** Spells every piece in the characters of a byte-level vocabulary. */
export const spellPieces: SplitStep = (piece) => [spell(piece)];

/** @throws {PatternError} */
export function splitSteps(steps: readonly SplitStep[]): SplitStep {
  return (piece, atStart) => {
    let pieces: readonly string[] = [piece];
    for (const step of steps) pieces = pieces.flatMap((one, index) => step(one, atStart && index === 0));
    return pieces;
  };
}

/** GPT-2's rule: English contractions, letters, numbers and signs, each with the space before it. */
export const GPT2_RULE =
  String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

const LLAMA3_RULE =
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const QWEN2_RULE =
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const TEKKEN_RULE = String
  .raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** How a named rule of `tokenizer.ggml.pre` splits. */
export interface NamedSplit {
  readonly rules: readonly string[];
  readonly normalise: "NFC" | null;
  /** See `Bpe`. */
  readonly wholeWords: boolean;
}

const GPT2: NamedSplit = { rules: [GPT2_RULE], normalise: null, wholeWords: false };
const SINGLE_DIGITS: NamedSplit = { rules: [String.raw`\p{N}`, GPT2_RULE], normalise: null, wholeWords: false };
const LLAMA3: NamedSplit = { rules: [LLAMA3_RULE], normalise: null, wholeWords: true };
const QWEN2: NamedSplit = { rules: [QWEN2_RULE], normalise: "NFC", wholeWords: false };

/** The rule of files from before rules had names. */
const UNNAMED: NamedSplit = {
  rules: [String.raw`[\p{P}\$\+<=>\^~\|]+`, GPT2_RULE, String.raw`\p{N}+`, "[0-9][0-9][0-9]"],
  normalise: null,
  wholeWords: false,
};

/** By the names that GGUF files use. */
export const NAMED_SPLITS: ReadonlyMap<string, NamedSplit> = new Map([
  ["default", UNNAMED],
  ["gpt-2", GPT2],
  ["smollm", SINGLE_DIGITS],
  ["starcoder", SINGLE_DIGITS],
  ["llama-bpe", LLAMA3],
  ["llama3", LLAMA3],
  ["llama-v3", LLAMA3],
  ["qwen2", QWEN2],
  ["deepseek-r1-qwen", QWEN2],
  ["tekken", { rules: [TEKKEN_RULE], normalise: null, wholeWords: true }],
]);
