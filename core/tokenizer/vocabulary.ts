import { badData } from "../errors.ts";
import { describe, quote } from "../quote.ts";
import { type MergeTable, RankedMerges } from "./bpe.ts";

/** The largest published vocabularies have about 260 thousand tokens and half a million merges. */
export const MAX_TOKENS = 2 ** 21;
export const MAX_MERGES = 2 ** 22;

/** A token id that a file states. */
export function tokenId(value: unknown, limit: number, what: string, file: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value < limit) return value;
  throw badData(
    file,
    `the id of ${what} must be an integer from 0 to ${limit - 1}: found ${describe(value)}`,
  );
}

/**
 * The merges of a byte-pair vocabulary, "left right" or [left, right] each.
 *
 * @throws {DsError} kind "bad-data" where one is malformed or one of its three tokens is not in the vocabulary
 */
export function readMerges(
  merges: readonly unknown[],
  ids: ReadonlyMap<string, number>,
  file: string,
): MergeTable {
  if (merges.length > MAX_MERGES) {
    throw badData(file, `it has ${merges.length} merges, more than the ${MAX_MERGES} a tokenizer may have`);
  }
  const table = new RankedMerges(merges.length);
  merges.forEach((merge, index) => {
    if (index === 0 && typeof merge === "string" && merge.startsWith("#version")) return;
    const [left, right, ...more] = typeof merge === "string"
      ? merge.split(" ")
      : Array.isArray(merge)
      ? merge as unknown[]
      : [];
    if (typeof left !== "string" || typeof right !== "string" || more.length > 0) {
      throw badData(
        file,
        `merge ${index} must be two tokens with one space between: found ${describe(merge)}`,
      );
    }
    const of = (text: string): number => {
      const id = ids.get(text);
      if (id !== undefined) return id;
      throw badData(
        file,
        `merge ${index} needs the token ${quote(text)}, which the vocabulary does not have`,
      );
    };
    table.set(index, of(left), of(right), of(left + right));
  });
  return table;
}

/** The ids of the tokens "<0x00>" to "<0xFF>", −1 where one is missing. */
export function byteTokens(ids: ReadonlyMap<string, number>): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => ids.get(byteTokenText(byte)) ?? -1);
}

export function byteTokenText(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/** The byte that a token like "<0x0A>" stands for, else null. */
export function byteOf(text: string): number | null {
  const found = /^<0x([0-9A-Fa-f]{2})>$/.exec(text);
  return found === null ? null : Number.parseInt(found[1]!, 16);
}
