import { badData } from "../errors.ts";
import { Facts } from "../formats/facts.ts";
import { describe, quote } from "../quote.ts";
import { isObject, own } from "../formats/strict_json.ts";
import { Pattern, PatternError } from "./pattern.ts";
import { GPT2_RULE } from "./split_rules.ts";
import {
  spellPieces,
  SPLIT_BEHAVIOURS,
  type SplitBehaviour,
  splitByRule,
  splitByText,
  type SplitStep,
  splitSteps,
} from "./splitting.ts";

const MAX_STEPS = 64;
const MAX_NESTING = 8;
/** What normalisation may make of a text of n characters: compatibility forms grow by 18 at most. */
const MOST_GROWTH = 20;
const FREE_GROWTH = 1024;

type Normaliser = (text: string) => string;

/** The steps of a field that may hold one step, a sequence of them (each a sequence again) or none. */
export function flatSteps(field: unknown, list: string, what: string, file: string): Facts[] {
  const steps: Facts[] = [];
  const add = (one: unknown, nesting: number): void => {
    if (!isObject(one)) throw badData(file, `its ${what} must be an object: found ${describe(one)}`);
    if (nesting > MAX_NESTING || steps.length >= MAX_STEPS) {
      throw badData(file, `its ${what} must have at most ${MAX_STEPS} steps, ${MAX_NESTING} deep`);
    }
    const facts = new Facts(file, (key) => own(one, key), "");
    if (facts.text("type") !== "Sequence") {
      steps.push(facts);
      return;
    }
    const parts = own(one, list);
    if (!Array.isArray(parts)) {
      throw badData(file, `the ${list} of its ${what} must be a list: found ${describe(parts)}`);
    }
    for (const part of parts) add(part, nesting + 1);
  };
  if (field !== undefined && field !== null) add(field, 1);
  return steps;
}

function unknownStep(facts: Facts, what: string): Error {
  return badData(facts.file, `it has a ${what} that ds does not know: ${quote(facts.text("type"))}`);
}

/** A rule or a literal text, as `{Regex}` or `{String}`. */
function readPattern(facts: Facts): { readonly rule: string } | { readonly text: string } {
  const pattern = facts.raw("pattern");
  if (isObject(pattern)) {
    const rule = own(pattern, "Regex");
    const text = own(pattern, "String");
    if (typeof rule === "string") return { rule };
    if (typeof text === "string") return { text };
  }
  throw facts.refuse("pattern", "a Regex or a String", pattern);
}

/** `make`, with a refusal that names the file where the rule is unusable. */
function withRule<T>(rule: string, file: string, make: (rule: string) => T): T {
  try {
    return make(rule);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw badData(file, `its rule ${quote(rule)} is unusable: ${error.message}`);
  }
}

/** @throws {DsError} kind "bad-data" */
export function hfNormaliser(field: unknown, file: string): Normaliser | null {
  const steps = flatSteps(field, "normalizers", "normalizer", file).map(normaliseStep);
  if (steps.length === 0) return null;
  return (text) => {
    const most = MOST_GROWTH * text.length + FREE_GROWTH;
    return steps.reduce((before, step) => {
      const after = step(before);
      if (after.length > most) {
        throw new PatternError(`normalisation makes more than ${MOST_GROWTH} times the text`);
      }
      return after;
    }, text);
  };
}

function normaliseStep(facts: Facts): Normaliser {
  const type = facts.text("type");
  switch (type) {
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => text.normalize(type);
    case "Lowercase":
      return (text) => text.toLowerCase();
    case "Prepend": {
      const prefix = facts.text("prepend");
      return (text) => text === "" ? text : prefix + text;
    }
    case "Strip": {
      const left = facts.flag("strip_left", true) ? /^\p{White_Space}+/u : null;
      const right = facts.flag("strip_right", true);
      return (text) => {
        let end = text.length;
        while (right && end > 0 && /\p{White_Space}/u.test(text[end - 1]!)) end--;
        const kept = text.slice(0, end);
        return left === null ? kept : kept.replace(left, "");
      };
    }
    case "Replace": {
      const pattern = readPattern(facts);
      const content = facts.text("content");
      if ("text" in pattern) {
        if (pattern.text === "") throw facts.refuse("pattern", "not empty", "");
        return (text) => text.split(pattern.text).join(content);
      }
      const rule = withRule(pattern.rule, facts.file, (source) => new Pattern(source));
      return (text) => replaceMatches(text, rule, content);
    }
    default:
      throw unknownStep(facts, "normalizer");
  }
}

function replaceMatches(text: string, rule: Pattern, content: string): string {
  const matches = rule.matches(text);
  let result = "";
  let done = 0;
  for (let at = 0; at < matches.length; at += 2) {
    result += text.slice(done, matches[at]!) + content;
    done = matches[at + 1]!;
  }
  return result + text.slice(done);
}

/** @throws {DsError} kind "bad-data" */
export function hfSplit(field: unknown, file: string): SplitStep {
  return splitSteps(flatSteps(field, "pretokenizers", "pre_tokenizer", file).flatMap(splitStepsOf));
}

function behaviour(facts: Facts, fallback?: SplitBehaviour): SplitBehaviour {
  const name = facts.text("behavior", fallback);
  const found = SPLIT_BEHAVIOURS.find((one) => one === name);
  if (found === undefined) throw facts.refuse("behavior", `one of ${SPLIT_BEHAVIOURS.join(", ")}`, name);
  return found;
}

function splitStepsOf(facts: Facts): readonly SplitStep[] {
  switch (facts.text("type")) {
    case "ByteLevel": {
      const steps: SplitStep[] = [];
      if (facts.flag("add_prefix_space", true)) {
        steps.push((piece) => [piece.startsWith(" ") ? piece : ` ${piece}`]);
      }
      if (facts.flag("use_regex", true)) steps.push(splitByRule(GPT2_RULE));
      return [...steps, spellPieces];
    }
    case "Split": {
      const pattern = readPattern(facts);
      const how = behaviour(facts);
      const invert = facts.flag("invert", false);
      return [
        "text" in pattern
          ? splitByText(pattern.text, how, invert)
          : withRule(pattern.rule, facts.file, (rule) => splitByRule(rule, how, invert)),
      ];
    }
    case "Digits":
      return [splitByRule(facts.flag("individual_digits", false) ? String.raw`\p{N}` : String.raw`\p{N}+`)];
    case "Punctuation":
      return [splitByRule(String.raw`[\p{P}!-/:-@\[-\x60{-~]`, behaviour(facts, "Isolated"))];
    case "Whitespace":
      return [splitByRule(String.raw`\w+|[^\w\s]+`, "Removed", true)];
    case "WhitespaceSplit":
      return [splitByRule(String.raw`\s`, "Removed")];
    case "Metaspace":
      return metaspace(facts);
    default:
      throw unknownStep(facts, "pre_tokenizer");
  }
}

function metaspace(facts: Facts): readonly SplitStep[] {
  const mark = facts.text("replacement", "\u2581");
  const scheme = facts.text("prepend_scheme", facts.flag("add_prefix_space", true) ? "always" : "never");
  if (!["always", "first", "never"].includes(scheme)) {
    throw facts.refuse("prepend_scheme", "always, first or never", scheme);
  }
  const spell: SplitStep = (piece, atStart) => {
    const spelt = piece.replaceAll(" ", mark);
    const prepends = scheme === "always" || (scheme === "first" && atStart);
    return [prepends && !spelt.startsWith(mark) ? mark + spelt : spelt];
  };
  return facts.flag("split", true) ? [spell, splitByText(mark, "MergedWithNext", false)] : [spell];
}
