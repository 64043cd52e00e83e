import { badData } from "../core/errors.ts";
import { quote } from "../core/quote.ts";

/** Characters. The largest published config has 3.3 million. */
const MAX_TEXT = 32 * 2 ** 20;
const MAX_ENTRIES = 16384;
const MAX_KEY = 256;
const MAX_ROWS = 1024;
const MAX_ROW = 65536;

/**
 * Walks a JSON object whose values are all lists of lists of whole numbers, the only shape a channel config has, and gives each
 * entry to `visit`. Not `JSON.parse`, because that lets the last of two equal keys win and takes as much memory and stack as
 * a hostile text asks for; here one entry is held at a time.
 *
 * @throws {DsError} kind "bad-data", with the character at which the text goes wrong
 */
export function readChannelLists(
  text: string,
  file: string,
  visit: (key: string, rows: readonly Uint16Array[]) => void,
): void {
  if (text.length > MAX_TEXT) {
    throw badData(file, `it has ${text.length} characters, and a channel config has at most ${MAX_TEXT}`);
  }
  const keys = new Set<string>();
  const numbers = new Uint16Array(MAX_ROW);
  let at = 0;

  expect("{");
  if (peek() !== "}") {
    do {
      const key = readKey();
      expect(":");
      visit(key, readRows());
    } while (follows(","));
  }
  expect("}");
  if (peek() !== "") throw wrong("its end");

  function readKey(): string {
    expect('"');
    const end = text.indexOf('"', at);
    const key = end < 0 ? "" : text.slice(at, Math.min(end, at + MAX_KEY + 1));
    if (key === "" || key.length > MAX_KEY || key.includes("\\")) {
      throw badData(file, `at character ${at} it must have a plain name of at most ${MAX_KEY} characters`);
    }
    if (keys.has(key)) throw badData(file, `it has the entry ${quote(key)} twice`);
    if (keys.size === MAX_ENTRIES) throw badData(file, `it has more than ${MAX_ENTRIES} entries`);
    keys.add(key);
    at = end + 1;
    return key;
  }

  function readRows(): Uint16Array[] {
    const rows: Uint16Array[] = [];
    expect("[");
    if (follows("]")) return rows;
    do {
      if (rows.length === MAX_ROWS) {
        throw badData(file, `at character ${at} a list has more than ${MAX_ROWS} rows`);
      }
      rows.push(readRow());
    } while (follows(","));
    expect("]");
    return rows;
  }

  function readRow(): Uint16Array {
    let length = 0;
    expect("[");
    if (follows("]")) return numbers.slice(0, 0);
    do {
      if (length === MAX_ROW) {
        throw badData(file, `at character ${at} a row has more than ${MAX_ROW} channels`);
      }
      numbers[length++] = readNumber();
    } while (follows(","));
    expect("]");
    return numbers.slice(0, length);
  }

  function readNumber(): number {
    peek();
    const start = at;
    let value = 0;
    for (let digit = digitAt(at); digit >= 0; digit = digitAt(++at)) value = value * 10 + digit;
    const digits = at - start;
    if (digits === 0 || digits > 5 || value >= MAX_ROW || (digits > 1 && digitAt(start) === 0)) {
      at = start;
      throw wrong(`a channel (a whole number below ${MAX_ROW})`);
    }
    return value;
  }

  function digitAt(position: number): number {
    const digit = text.charCodeAt(position) - 48;
    return digit >= 0 && digit <= 9 ? digit : -1;
  }

  /** The next character that is not white space, or "" at the end. */
  function peek(): string {
    while (" \t\n\r".includes(text.charAt(at)) && at < text.length) at++;
    return text.charAt(at);
  }

  function follows(character: string): boolean {
    if (peek() !== character) return false;
    at++;
    return true;
  }

  function expect(character: string): void {
    if (!follows(character)) throw wrong(quote(character));
  }

  function wrong(wanted: string): Error {
    const found = at < text.length ? quote(text.charAt(at)) : "its end";
    return badData(file, `at character ${at} it must have ${wanted}: found ${found}`);
  }
}
