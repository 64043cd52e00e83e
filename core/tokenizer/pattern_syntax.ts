const MAX_NESTING = 64;
const MAX_COUNT = 1000;
const MAX_SETS = 256;

/** Why a rule cannot be used; callers put the file's name in front. */
export class PatternError extends Error {
  override readonly name = "PatternError";
}

export type CodePointTest = (codePoint: number) => boolean;

/** A parsed rule. */
export type PatternNode =
  | { readonly kind: "set"; readonly test: CodePointTest }
  | { readonly kind: "sequence" | "either"; readonly nodes: readonly PatternNode[] }
  | {
    readonly kind: "repeat";
    readonly node: PatternNode;
    readonly least: number;
    readonly most: number;
    readonly mode: "greedy" | "lazy" | "possessive";
  }
  | { readonly kind: "ahead"; readonly node: PatternNode; readonly negated: boolean }
  | { readonly kind: "atomic"; readonly node: PatternNode }
  | { readonly kind: "anchor"; readonly at: (text: string, index: number) => boolean };

const CONTROL_ESCAPES: Record<string, number> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7, e: 27, 0: 0 };

const SHORTHANDS: Record<string, readonly string[]> = {
  s: ["White_Space"],
  d: ["Nd"],
  w: ["Alphabetic", "M", "Nd", "Pc"],
  h: ["ASCII_Hex_Digit"],
};

const POSIX_CLASSES: Record<string, readonly string[]> = {
  alpha: ["Alphabetic"],
  alnum: ["Alphabetic", "Nd"],
  digit: ["Nd"],
  lower: ["Lowercase"],
  upper: ["Uppercase"],
  space: ["White_Space"],
  punct: ["P", "S"],
  cntrl: ["Cc"],
  xdigit: ["ASCII_Hex_Digit"],
};

/** Remembers a test's answers for the basic plane, where almost all text lies, in pages of 256. */
function remembered(test: CodePointTest): CodePointTest {
  const pages: (Uint8Array | undefined)[] = [];
  return (codePoint) => {
    if (codePoint > 0xffff) return test(codePoint);
    const page = pages[codePoint >> 8] ??= new Uint8Array(256);
    const answer = page[codePoint & 0xff]!;
    if (answer !== 0) return answer === 2;
    const found = test(codePoint);
    page[codePoint & 0xff] = found ? 2 : 1;
    return found;
  };
}

function propertyTest(name: string): CodePointTest {
  if (!/^[A-Za-z_]+(?:=[A-Za-z_]+)?$/.test(name)) {
    throw new PatternError(`unknown character property "${name}"`);
  }
  let expression: RegExp;
  try {
    expression = new RegExp(`^\\p{${name}}$`, "u");
  } catch {
    try {
      expression = new RegExp(`^\\p{Script=${name}}$`, "u");
    } catch {
      throw new PatternError(`unknown character property "${name}"`);
    }
  }
  return (codePoint) => expression.test(String.fromCodePoint(codePoint));
}

const anyOf = (tests: readonly CodePointTest[]): CodePointTest => (codePoint) =>
  tests.some((test) => test(codePoint));
const not = (test: CodePointTest): CodePointTest => (codePoint) => !test(codePoint);

/** `test` for any case of a letter; only foldings to one character count. */
function anyCase(test: CodePointTest): CodePointTest {
  return (codePoint) => {
    if (test(codePoint)) return true;
    const letter = String.fromCodePoint(codePoint);
    const upper = letter.toUpperCase();
    return [letter.toLowerCase(), upper, upper.toLowerCase()].some((other) => {
      const folded = other.codePointAt(0)!;
      return String.fromCodePoint(folded) === other && test(folded);
    });
  };
}

class Parser {
  readonly #source: string;
  #index = 0;
  #nesting = 0;
  #sets = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): PatternNode {
    const node = this.#alternatives(false);
    if (this.#index < this.#source.length) throw this.#unexpected();
    return node;
  }

  #unexpected(): PatternError {
    const found = this.#source[this.#index];
    return new PatternError(
      found === undefined ? "it ends too early" : `unexpected "${found}" at character ${this.#index}`,
    );
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#index)) return false;
    this.#index += text.length;
    return true;
  }

  #alternatives(fold: boolean): PatternNode {
    if (++this.#nesting > MAX_NESTING) throw new PatternError(`groups nest deeper than ${MAX_NESTING}`);
    const nodes: PatternNode[] = [];
    do nodes.push(this.#sequence(fold)); while (this.#take("|"));
    this.#nesting--;
    return nodes.length === 1 ? nodes[0]! : { kind: "either", nodes };
  }

  #sequence(fold: boolean): PatternNode {
    const nodes: PatternNode[] = [];
    while (this.#index < this.#source.length && !"|)".includes(this.#source[this.#index]!)) {
      if (this.#take("(?i)")) {
        fold = true;
        continue;
      }
      nodes.push(this.#quantified(this.#atom(fold)));
    }
    return nodes.length === 1 ? nodes[0]! : { kind: "sequence", nodes };
  }

  #quantified(node: PatternNode): PatternNode {
    let bounds: [number, number] | null = null;
    let counted = false;
    if (this.#take("*")) bounds = [0, Infinity];
    else if (this.#take("+")) bounds = [1, Infinity];
    else if (this.#take("?")) bounds = [0, 1];
    else {
      const found = /^\{(\d{0,4})(,?)(\d{0,4})\}/.exec(this.#source.slice(this.#index, this.#index + 12));
      if (found !== null && (found[1] !== "" || found[3] !== "")) {
        this.#index += found[0].length;
        counted = true;
        const least = found[1] === "" ? 0 : Number(found[1]);
        const most = found[2] === "" ? least : found[3] === "" ? Infinity : Number(found[3]);
        if (least > MAX_COUNT || (most !== Infinity && most > MAX_COUNT) || least > most) {
          throw new PatternError(`the count ${found[0]} must rise and stay at or below ${MAX_COUNT}`);
        }
        bounds = [least, most];
      }
    }
    if (bounds === null) return node;
    if (node.kind === "anchor" || node.kind === "ahead") {
      throw new PatternError("an assertion cannot be repeated");
    }
    const mode = this.#take("?") ? "lazy" : !counted && this.#take("+") ? "possessive" : "greedy";
    if (/^[*+?]/.test(this.#source.slice(this.#index, this.#index + 1))) throw this.#unexpected();
    return { kind: "repeat", node, least: bounds[0], most: bounds[1], mode };
  }

  #atom(fold: boolean): PatternNode {
    if (this.#take("(")) return this.#group(fold);
    if (this.#take("[")) return this.#set(this.#class(0), fold);
    if (this.#take("^")) return { kind: "anchor", at: (text, i) => i === 0 || text[i - 1] === "\n" };
    if (this.#take("$")) return { kind: "anchor", at: (text, i) => i === text.length || text[i] === "\n" };
    if (this.#take(".")) return { kind: "set", test: (codePoint) => codePoint !== 10 };
    if (this.#take("\\A")) return { kind: "anchor", at: (_text, i) => i === 0 };
    if (this.#take("\\z")) return { kind: "anchor", at: (text, i) => i === text.length };
    if (this.#take("\\")) return this.#set(this.#escape(), fold);
    if ("*+?)".includes(this.#source[this.#index]!)) throw this.#unexpected();
    const literal = this.#codePoint();
    const test: CodePointTest = (codePoint) => codePoint === literal;
    return fold ? this.#set(test, fold) : { kind: "set", test };
  }

  #set(test: CodePointTest, fold: boolean): PatternNode {
    if (++this.#sets > MAX_SETS) throw new PatternError(`it has more than ${MAX_SETS} character sets`);
    return { kind: "set", test: remembered(fold ? anyCase(test) : test) };
  }

  #group(fold: boolean): PatternNode {
    const wrap = this.#take("?=")
      ? (node: PatternNode): PatternNode => ({ kind: "ahead", node, negated: false })
      : this.#take("?!")
      ? (node: PatternNode): PatternNode => ({ kind: "ahead", node, negated: true })
      : this.#take("?>")
      ? (node: PatternNode): PatternNode => ({ kind: "atomic", node })
      : (node: PatternNode) => node;
    if (this.#take("?i:")) fold = true;
    else if (this.#take("?-i:")) fold = false;
    else if (!this.#take("?:") && this.#source[this.#index] === "?") {
      throw new PatternError(`unsupported group at character ${this.#index}`);
    }
    const node = this.#alternatives(fold);
    if (!this.#take(")")) throw this.#unexpected();
    return wrap(node);
  }

  #codePoint(): number {
    const found = this.#source.codePointAt(this.#index);
    if (found === undefined) throw this.#unexpected();
    this.#index += found > 0xffff ? 2 : 1;
    return found;
  }

  /** After a backslash: one character, or a set of them. A single character comes back as its number. */
  #escaped(): number | CodePointTest {
    const rest = this.#source.slice(this.#index, this.#index + 64);
    const property = /^([pP])(?:\{(\^?)([^}]*)\}|([A-Z]))/.exec(rest);
    if (property !== null) {
      this.#index += property[0].length;
      const test = propertyTest(property[3] ?? property[4]!);
      return (property[1] === "P") !== (property[2] === "^") ? not(test) : test;
    }
    const hex = /^(?:[xu]\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4}))/.exec(rest);
    if (hex !== null) {
      this.#index += hex[0].length;
      const codePoint = Number.parseInt(hex[1] ?? hex[2] ?? hex[3]!, 16);
      if (codePoint > 0x10ffff) throw new PatternError(`no such character: \\${hex[0]}`);
      return codePoint;
    }
    const letter = rest[0];
    if (letter === undefined) throw this.#unexpected();
    const shorthand = SHORTHANDS[letter.toLowerCase()];
    if (shorthand !== undefined) {
      this.#index++;
      const test = anyOf(shorthand.map(propertyTest));
      return letter === letter.toLowerCase() ? test : not(test);
    }
    const control = CONTROL_ESCAPES[letter];
    if (control !== undefined) {
      this.#index++;
      return control;
    }
    if (/[A-Za-z0-9]/.test(letter)) {
      throw new PatternError(`unsupported escape \\${letter} at character ${this.#index}`);
    }
    return this.#codePoint();
  }

  #escape(): CodePointTest {
    const found = this.#escaped();
    return typeof found === "number" ? (codePoint) => codePoint === found : found;
  }

  /** After "[", up to and with its "]". */
  #class(nesting: number): CodePointTest {
    if (nesting > MAX_NESTING) throw new PatternError(`character classes nest deeper than ${MAX_NESTING}`);
    const negated = this.#take("^");
    let tests: CodePointTest[] = [];
    const all: CodePointTest[] = [];
    for (let first = true; first || !this.#take("]"); first = false) {
      if (this.#index >= this.#source.length) throw this.#unexpected();
      if (!first && this.#take("&&")) {
        all.push(anyOf(tests));
        tests = [];
        continue;
      }
      const posix = /^\[:(\^?)([a-z]+):\]/.exec(this.#source.slice(this.#index, this.#index + 16));
      if (posix !== null) {
        const names = POSIX_CLASSES[posix[2]!];
        if (names === undefined) throw new PatternError(`unknown character class ${posix[0]}`);
        this.#index += posix[0].length;
        const test = anyOf(names.map(propertyTest));
        tests.push(posix[1] === "^" ? not(test) : test);
        continue;
      }
      if (this.#take("[")) {
        tests.push(this.#class(nesting + 1));
        continue;
      }
      const low = this.#take("\\") ? this.#escaped() : this.#codePoint();
      if (typeof low !== "number") {
        tests.push(low);
        continue;
      }
      const next = this.#source[this.#index + 1];
      if (this.#source[this.#index] === "-" && next !== undefined && next !== "]") {
        this.#index++;
        const high = this.#take("\\") ? this.#escaped() : this.#codePoint();
        if (typeof high !== "number" || high < low) throw new PatternError("a character range must rise");
        tests.push((codePoint) => codePoint >= low && codePoint <= high);
      } else {
        tests.push((codePoint) => codePoint === low);
      }
    }
    const last = anyOf(tests);
    const test = all.length === 0
      ? last
      : (codePoint: number) => last(codePoint) && all.every((one) => one(codePoint));
    return negated ? not(test) : test;
  }
}

/** @throws {PatternError} where the rule is malformed or uses something no tokenizer needs */
export function parsePattern(source: string): PatternNode {
  return new Parser(source).parse();
}
