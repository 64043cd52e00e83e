/** A token that is found in the text itself, before any splitting or merging. */
export interface AddedToken {
  readonly text: string;
  readonly id: number;
  /** A control token: only read where special tokens are parsed, left out of decoded text. */
  readonly isSpecial: boolean;
  /** Only between characters that belong to no word. */
  readonly isWord: boolean;
  /** Swallows the white space before it, and behind it. */
  readonly stripsLeft: boolean;
  readonly stripsRight: boolean;
}

/** A stretch of text, or the token found there. */
export type Section = { readonly text: string; readonly start: number } | { readonly id: number };

interface TrieNode {
  token: AddedToken | null;
  readonly next: Map<number, TrieNode>;
}

const WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]$/u;
const WHITE_SPACE = /^\p{White_Space}$/u;

/** Finds added tokens: leftmost first, the longest of those that begin together. */
export class AddedTokens {
  readonly #root: TrieNode = { token: null, next: new Map() };
  readonly tokens: readonly AddedToken[];

  constructor(tokens: readonly AddedToken[]) {
    this.tokens = tokens.filter((token) => token.text !== "");
    for (const token of this.tokens) {
      let node = this.#root;
      for (let at = 0; at < token.text.length; at++) {
        const unit = token.text.charCodeAt(at);
        let next = node.next.get(unit);
        if (next === undefined) node.next.set(unit, next = { token: null, next: new Map() });
        node = next;
      }
      node.token = token;
    }
  }

  /** The stretches of `text` in order; empty ones are left out. */
  split(text: string, parseSpecial: boolean): Section[] {
    const sections: Section[] = [];
    let done = 0;
    for (let at = 0; at < text.length;) {
      const token = this.#longestAt(text, at);
      if (token === null) {
        at++;
        continue;
      }
      const end = at + token.text.length;
      if ((token.isSpecial && !parseSpecial) || (token.isWord && touchesWord(text, at, end))) {
        at = end;
        continue;
      }
      const start = token.stripsLeft ? Math.max(done, skipBack(text, at)) : at;
      if (start > done) sections.push({ text: text.slice(done, start), start: done });
      sections.push({ id: token.id });
      done = token.stripsRight ? skipOn(text, end) : end;
      at = done;
    }
    if (done < text.length) sections.push({ text: text.slice(done), start: done });
    return sections;
  }

  #longestAt(text: string, start: number): AddedToken | null {
    let node = this.#root.next.get(text.charCodeAt(start));
    let found: AddedToken | null = null;
    for (let at = start + 1; node !== undefined; at++) {
      if (node.token !== null) found = node.token;
      if (at >= text.length) break;
      node = node.next.get(text.charCodeAt(at));
    }
    return found;
  }
}

function touchesWord(text: string, start: number, end: number): boolean {
  const before = start > 1 && text.codePointAt(start - 2)! > 0xffff
    ? text.slice(start - 2, start)
    : text[start - 1];
  const behind = end < text.length ? String.fromCodePoint(text.codePointAt(end)!) : "";
  return WORD.test(before ?? "") || WORD.test(behind);
}

function skipBack(text: string, index: number): number {
  while (index > 0 && WHITE_SPACE.test(text[index - 1]!)) index--;
  return index;
}

function skipOn(text: string, index: number): number {
  while (index < text.length && WHITE_SPACE.test(text[index]!)) index++;
  return index;
}
