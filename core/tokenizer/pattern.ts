import { type CodePointTest, parsePattern, PatternError, type PatternNode } from "./pattern_syntax.ts";

export { PatternError };

const MAX_SOURCE = 8192;
const STEPS_PER_UNIT = 200;
const STEPS_AT_LEAST = 1_000_000;

/** The end of a match that begins at `index`, or −1. */
type Matcher = (index: number, next: (index: number) => number) => number;

interface Run {
  text: string;
  steps: number;
}

const END = (index: number): number => index;

function compile(node: PatternNode, run: Run, spend: () => void): Matcher {
  const build = (one: PatternNode): Matcher => compile(one, run, spend);
  switch (node.kind) {
    case "set": {
      const test = node.test;
      return (index, next) => {
        spend();
        if (index >= run.text.length) return -1;
        const codePoint = run.text.codePointAt(index)!;
        return test(codePoint) ? next(index + (codePoint > 0xffff ? 2 : 1)) : -1;
      };
    }
    case "sequence": {
      const parts = node.nodes.map(build);
      return (index, next) => {
        const from = (part: number, at: number): number =>
          part === parts.length ? next(at) : parts[part]!(at, (then) => from(part + 1, then));
        return from(0, index);
      };
    }
    case "either": {
      const parts = node.nodes.map(build);
      return (index, next) => {
        for (const part of parts) {
          spend();
          const end = part(index, next);
          if (end >= 0) return end;
        }
        return -1;
      };
    }
    case "repeat":
      return node.node.kind === "set" && node.mode !== "lazy"
        ? compileRun(node.node.test, node, run, spend)
        : compileRepeat(build(node.node), node, spend);
    case "ahead": {
      const part = build(node.node);
      return (index, next) => (part(index, END) >= 0) !== node.negated ? next(index) : -1;
    }
    case "atomic": {
      const part = build(node.node);
      return (index, next) => {
        const end = part(index, END);
        return end < 0 ? -1 : next(end);
      };
    }
    case "anchor":
      return (index, next) => node.at(run.text, index) ? next(index) : -1;
  }
}

/** Repeats of one character: a loop, as a run may be longer than the stack is deep. */
function compileRun(
  test: CodePointTest,
  { least, most, mode }: { least: number; most: number; mode: string },
  run: Run,
  spend: () => void,
): Matcher {
  return (index, next) => {
    const text = run.text;
    let end = index;
    let count = 0;
    while (count < most && end < text.length) {
      spend();
      const codePoint = text.codePointAt(end)!;
      if (!test(codePoint)) break;
      end += codePoint > 0xffff ? 2 : 1;
      count++;
    }
    if (count < least) return -1;
    if (mode === "possessive") return next(end);
    for (;; count--) {
      spend();
      const found = next(end);
      if (found >= 0) return found;
      if (count === least) return -1;
      end -= end - index >= 2 && text.codePointAt(end - 2)! > 0xffff ? 2 : 1;
    }
  };
}

function compileRepeat(
  part: Matcher,
  { least, most, mode }: { least: number; most: number; mode: string },
  spend: () => void,
): Matcher {
  const repeat: Matcher = (index, next) => {
    const from = (at: number, count: number): number => {
      spend();
      const again = () =>
        count < most ? part(at, (then) => then === at && count >= least ? -1 : from(then, count + 1)) : -1;
      if (count < least) return again();
      if (mode === "lazy") {
        const end = next(at);
        return end >= 0 ? end : again();
      }
      const end = again();
      return end >= 0 ? end : next(at);
    };
    return from(index, 0);
  };
  if (mode !== "possessive") return repeat;
  return (index, next) => {
    const end = repeat(index, END);
    return end < 0 ? -1 : next(end);
  };
}

/**
 * A compiled rule, matched by a small backtracking matcher. Rules come from files, and the engines' own `RegExp` may take exponential
 * time on a hostile one; this one counts its steps. It also keeps the rules' dialect (Oniguruma's), in which `\s` is White_Space
 * and `\d` is Nd.
 */
export class Pattern {
  readonly source: string;
  readonly #match: Matcher;
  readonly #run: Run = { text: "", steps: 0 };

  /** @throws {PatternError} where the rule is malformed, too large or uses something no tokenizer needs */
  constructor(source: string) {
    if (source.length > MAX_SOURCE) {
      throw new PatternError(`${source.length} characters, more than ${MAX_SOURCE}`);
    }
    this.source = source;
    const run = this.#run;
    const spend = (): void => {
      if (--run.steps < 0) throw new PatternError("it takes too many steps on this text");
    };
    this.#match = compile(parsePattern(source), run, spend);
  }

  /**
   * Start and end of every match from left to right: [start, end, start, end, …] in UTF-16 code units.
   *
   * @throws {PatternError} after 200 steps per code unit (at least a million)
   */
  matches(text: string): number[] {
    const run = this.#run;
    run.text = text;
    run.steps = STEPS_AT_LEAST + STEPS_PER_UNIT * text.length;
    const found: number[] = [];
    try {
      for (let index = 0; index < text.length;) {
        const end = this.#match(index, END);
        if (end >= 0) found.push(index, end);
        index = end > index ? end : index + (text.codePointAt(index)! > 0xffff ? 2 : 1);
      }
    } catch (error) {
      if (error instanceof RangeError) throw new PatternError("it nests too deeply on this text");
      throw error;
    } finally {
      run.text = "";
    }
    return found;
  }
}
