import { DsError } from "./errors.ts";
import { AddedTokens } from "./tokenizer/added_tokens.ts";

const MAX_NESTING = 64;

/** Puts private-use characters in place of what would be read as special tokens. */
export class Shield {
  /** What each private-use character stands for. */
  readonly covered = new Map<string, string>();
  readonly #texts: readonly string[];
  readonly #finder: AddedTokens;
  readonly #longest: number;
  readonly #placeholders = new Map<string, string>();
  readonly #taken = new Set<string>();
  #next = 0xe000;

  constructor(specialTexts: Iterable<string>, given: unknown) {
    this.#texts = [...specialTexts];
    this.#longest = this.#texts.reduce((most, text) => Math.max(most, text.length), 0);
    this.#finder = new AddedTokens(this.#texts.map((text, id) => ({
      text,
      id,
      isSpecial: false,
      isWord: false,
      stripsLeft: false,
      stripsRight: false,
    })));
    forEachText(given, 0, (text) => {
      for (const character of text.match(/\p{Co}/gu) ?? []) this.#taken.add(character);
    });
  }

  /** The same value with every text in it covered. */
  cover<T>(value: T, nesting: number): T {
    if (typeof value === "string") return this.#coverText(value) as T;
    if (typeof value !== "object" || value === null) return value;
    checkNesting(nesting);
    if (Array.isArray(value)) return value.map((one: unknown) => this.cover(one, nesting + 1)) as T;
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [key, this.cover(one, nesting + 1)]),
    ) as T;
  }

  #coverText(text: string): string {
    let result = "";
    for (const section of this.#finder.split(text, true)) {
      result += "id" in section ? this.#placeholder(this.#texts[section.id]!) : section.text;
    }
    return this.#coverEnd(result);
  }

  /** The beginning of a special token at the very end, which the text behind it could complete. */
  #coverEnd(text: string): string {
    const end = text.trimEnd().length;
    let result = text;
    for (let start = end - 1; start >= 0 && start > end - this.#longest; start--) {
      const tail = text.slice(start, end);
      if (!this.#texts.some((special) => special.startsWith(tail))) continue;
      result = result.slice(0, start) + this.#placeholder(text[start]!) + result.slice(start + 1);
    }
    return result;
  }

  #placeholder(text: string): string {
    const known = this.#placeholders.get(text);
    if (known !== undefined) return known;
    let character: string;
    do character = this.#nextPrivate(); while (this.#taken.has(character));
    this.#placeholders.set(text, character);
    this.covered.set(character, text);
    return character;
  }

  #nextPrivate(): string {
    const codePoint = this.#next++;
    if (codePoint === 0xf8ff) this.#next = 0xf0000;
    if (codePoint > 0xffffd) {
      throw new DsError(
        "bad-data",
        "Cannot encode the conversation as it uses up all private-use characters",
      );
    }
    return String.fromCodePoint(codePoint);
  }
}

function checkNesting(nesting: number): void {
  if (nesting > MAX_NESTING) {
    throw new DsError(
      "bad-data",
      `Cannot render the conversation as its messages nest deeper than ${MAX_NESTING}`,
    );
  }
}

/** Shows every text in a value of lists and objects, keys too. */
export function forEachText(value: unknown, nesting: number, see: (text: string) => void): void {
  if (typeof value === "string") see(value);
  else if (typeof value === "object" && value !== null) {
    checkNesting(nesting);
    for (const [key, one] of Object.entries(value)) {
      see(key);
      forEachText(one, nesting + 1, see);
    }
  }
}
