/** Which neighbours may merge, and in what order. */
export interface MergeTable {
  /** The merge of two neighbouring tokens, −1 where there is none. */
  find(left: number, right: number): number;
  /** Lower goes first; below 2^22. */
  rank(merge: number): number;
  /** The token that `merge` makes. */
  result(merge: number): number;
}

/** Ids stay below 2^24, so a pair of them is an exact number. */
const PAIR = 2 ** 24;

/** The ranked list of merges of a byte-pair vocabulary; of a pair named twice the later counts. */
export class RankedMerges implements MergeTable {
  readonly #merges = new Map<number, number>();
  readonly #results: Int32Array;

  constructor(count: number) {
    this.#results = new Int32Array(count);
  }

  set(merge: number, left: number, right: number, result: number): void {
    this.#merges.set(left * PAIR + right, merge);
    this.#results[merge] = result;
  }

  find(left: number, right: number): number {
    return this.#merges.get(left * PAIR + right) ?? -1;
  }

  rank(merge: number): number {
    return merge;
  }

  result(merge: number): number {
    return this.#results[merge]!;
  }
}

/** SentencePiece's rule: two neighbours merge where their joined text is a token; the highest score goes first. */
export class ScoredMerges implements MergeTable {
  static readonly #mostRemembered = 2 ** 20;
  readonly #texts: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;
  readonly #ranks: Int32Array;
  readonly #found = new Map<number, number>();

  /** @param ids the tokens that merging may make, by text */
  constructor(texts: readonly string[], ids: ReadonlyMap<string, number>, scores: Float32Array) {
    this.#texts = texts;
    this.#ids = ids;
    const order = Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]!);
    this.#ranks = new Int32Array(scores.length);
    let rank = 0;
    order.forEach((id, place) => {
      if (place > 0 && scores[id] !== scores[order[place - 1]!]) rank++;
      this.#ranks[id] = rank;
    });
  }

  find(left: number, right: number): number {
    const pair = left * PAIR + right;
    let found = this.#found.get(pair);
    if (found === undefined) {
      found = this.#ids.get(this.#texts[left]! + this.#texts[right]!) ?? -1;
      if (this.#found.size >= ScoredMerges.#mostRemembered) this.#found.clear();
      this.#found.set(pair, found);
    }
    return found;
  }

  rank(merge: number): number {
    return this.#ranks[merge]!;
  }

  result(merge: number): number {
    return merge;
  }
}

/** A binary heap of numbers, smallest first. */
class NumberHeap {
  readonly #values: number[] = [];

  push(value: number): void {
    const values = this.#values;
    let at = values.length;
    values.push(value);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (values[parent]! <= value) break;
      values[at] = values[parent]!;
      at = parent;
    }
    values[at] = value;
  }

  pop(): number | undefined {
    const values = this.#values;
    const smallest = values[0];
    const last = values.pop();
    if (values.length === 0 || last === undefined) return smallest;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= values.length) break;
      if (child + 1 < values.length && values[child + 1]! < values[child]!) child++;
      if (values[child]! >= last) break;
      values[at] = values[child]!;
      at = child;
    }
    values[at] = last;
    return smallest;
  }
}

/** Merges neighbours, lowest rank first and leftmost among equals, until none is left: O(n log n). */
export function mergeTokens(tokens: readonly number[], table: MergeTable): number[] {
  const count = tokens.length;
  if (count < 2) return [...tokens];
  const ids = Int32Array.from(tokens);
  const before = Int32Array.from(ids.keys(), (at) => at - 1);
  const after = Int32Array.from(ids.keys(), (at) => at + 1);
  const heap = new NumberHeap();
  const offer = (at: number): void => {
    const right = after[at]!;
    if (right >= count) return;
    const merge = table.find(ids[at]!, ids[right]!);
    if (merge >= 0) heap.push(table.rank(merge) * count + at);
  };
  for (let at = 0; at < count; at++) offer(at);
  for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
    const at = key % count;
    const right = after[at]!;
    if (ids[at]! < 0 || right >= count) continue;
    const merge = table.find(ids[at]!, ids[right]!);
    if (merge < 0 || table.rank(merge) * count + at !== key) continue;
    ids[at] = table.result(merge);
    ids[right] = -1;
    const next = after[right]!;
    after[at] = next;
    if (next < count) before[next] = at;
    offer(at);
    if (before[at]! >= 0) offer(before[at]!);
  }
  return Array.from(ids.filter((id) => id >= 0));
}

/** What a character becomes that is no token. */
export interface Fallback {
  /** Ids of the 256 byte tokens, −1 where one is missing; null for vocabularies without. */
  readonly bytes: Int32Array | null;
  /** The unknown token; null: the character is dropped. */
  readonly unknown: number | null;
  /** Neighbouring unknown characters make one token. */
  readonly fuseUnknown: boolean;
}

/** Splits words into the tokens of a byte-pair vocabulary. */
export class Bpe {
  static readonly #mostRemembered = 20_000;
  static readonly #longestRemembered = 64;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #table: MergeTable;
  readonly #fallback: Fallback;
  readonly #wholeWords: boolean;
  readonly #known = new Map<string, readonly number[]>();
  readonly #utf8 = new TextEncoder();

  /** @param wholeWords a word that is itself a token is taken as it is, whatever the merges would make of it */
  constructor(ids: ReadonlyMap<string, number>, table: MergeTable, fallback: Fallback, wholeWords: boolean) {
    this.#ids = ids;
    this.#table = table;
    this.#fallback = fallback;
    this.#wholeWords = wholeWords;
  }

  /** Appends the tokens of `word` to `tokens`. */
  encode(word: string, tokens: number[]): void {
    let found = this.#known.get(word);
    if (found === undefined) {
      const whole = this.#wholeWords ? this.#ids.get(word) : undefined;
      found = whole === undefined ? mergeTokens(this.#characters(word), this.#table) : [whole];
      if (word.length <= Bpe.#longestRemembered) {
        if (this.#known.size >= Bpe.#mostRemembered) this.#known.clear();
        this.#known.set(word, found);
      }
    }
    for (const id of found) tokens.push(id);
  }

  #characters(word: string): number[] {
    const tokens: number[] = [];
    const { bytes, unknown, fuseUnknown } = this.#fallback;
    let wasUnknown = false;
    for (const character of word) {
      const id = this.#ids.get(character);
      if (id !== undefined) {
        tokens.push(id);
        wasUnknown = false;
        continue;
      }
      const inBytes = bytes && Array.from(this.#utf8.encode(character), (byte) => bytes[byte]!);
      if (inBytes && inBytes.every((token) => token >= 0)) {
        tokens.push(...inBytes);
        wasUnknown = false;
      } else if (unknown !== null) {
        if (!(fuseUnknown && wasUnknown)) tokens.push(unknown);
        wasUnknown = true;
      }
    }
    return tokens;
  }
}
