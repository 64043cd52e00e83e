import { badData } from "../errors.ts";
import { quote } from "../quote.ts";

export interface JsonLimits {
  /** Bytes of text. */
  readonly bytes: number;
  /** Keys and list entries, all levels together: bounds the memory that parsing takes. */
  readonly entries: number;
}

export type JsonObject = { readonly [key: string]: unknown };

const MAX_DEPTH = 64;

/**
 * Parses a JSON document whose root is an object. Stricter than JSON.parse: no key twice in one object, bounded depth
 * and number of entries, UTF-8 only.
 *
 * @throws {DsError} kind "bad-data"
 */
export function parseJsonObject(bytes: Uint8Array, file: string, limits: JsonLimits): JsonObject {
  if (bytes.length > limits.bytes) {
    throw badData(file, `its JSON must be at most ${limits.bytes} bytes, found ${bytes.length}`);
  }
  let value: unknown;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    scan(text, file, limits.entries);
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw badData(file, `it is not JSON (${quote(error.message)})`);
    if (error instanceof TypeError) throw badData(file, "its JSON is not valid UTF-8");
    throw error;
  }
  if (!isObject(value)) throw badData(file, "its JSON must be an object at the root");
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object's own value: keys such as `constructor` must not reach what every object inherits. */
export function own(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Checks what JSON.parse hides or cannot bear. Exact on valid JSON; JSON.parse then refuses the rest. */
function scan(text: string, file: string, maxEntries: number): void {
  /** The keys so far of each open object; null for an open list. */
  const open: (Set<string> | null)[] = [];
  let atKey = false;
  let entries = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) {
      const end = endOfString(text, i);
      if (atKey) {
        addKey(open[open.length - 1], text.slice(i, end + 1), file);
        atKey = false;
      }
      i = end;
    } else if (c === OPEN_OBJECT || c === OPEN_LIST) {
      if (open.length === MAX_DEPTH) {
        throw badData(file, `its JSON is nested deeper than ${MAX_DEPTH} levels`);
      }
      open.push(c === OPEN_OBJECT ? new Set() : null);
      atKey = c === OPEN_OBJECT;
      entries++;
    } else if (c === CLOSE_OBJECT || c === CLOSE_LIST) {
      open.pop();
      atKey = false;
    } else if (c === COMMA) {
      atKey = open.length > 0 && open[open.length - 1] !== null;
      entries++;
    }
    if (entries > maxEntries) throw badData(file, `its JSON has more than ${maxEntries} entries`);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Index of the closing quote, or the last index where there is none. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text.charCodeAt(i) !== QUOTE) i += text.charCodeAt(i) === BACKSLASH ? 2 : 1;
  return Math.min(i, text.length - 1);
}

function addKey(keys: Set<string> | null | undefined, literal: string, file: string): void {
  if (!keys) return;
  const key: string = literal.includes("\\") ? JSON.parse(literal) : literal.slice(1, -1);
  if (keys.has(key)) throw badData(file, `its JSON has the key ${quote(key)} twice in one object`);
  keys.add(key);
}
