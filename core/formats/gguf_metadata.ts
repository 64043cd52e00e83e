import { badData } from "../errors.ts";
import type { GgufReader } from "./gguf_reader.ts";
import { quote } from "../quote.ts";

/** A list that nothing here uses: only its length was kept. */
export interface UnreadList {
  readonly length: number;
}

export type GgufValue =
  | number
  | bigint
  | boolean
  | string
  | readonly string[]
  | Float32Array
  | Int32Array
  | UnreadList;

const MAX_KEY_BYTES = 2 ** 16 - 1;
const MAX_TEXT_BYTES = 2 ** 24;
const MAX_LIST_LENGTH = 2 ** 22;

const KEPT_LISTS: ReadonlySet<string> = new Set(
  ["tokens", "scores", "token_type", "merges"].map((name) => `tokenizer.ggml.${name}`),
);

const BOOL = 7;
const STRING = 8;
const ARRAY = 9;
/** Bytes of the fixed-size value types, by their number in the file. */
const SIZES: ReadonlyMap<number, number> = new Map([
  [0, 1],
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 4],
  [5, 4],
  [6, 4],
  [BOOL, 1],
  [10, 8],
  [11, 8],
  [12, 8],
]);

/** Reads `count` key-value pairs; of lists only those of the tokenizer are kept. */
export async function readMetadata(reader: GgufReader, count: number): Promise<Map<string, GgufValue>> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const key = await reader.string("metadata key", MAX_KEY_BYTES);
    if (metadata.has(key)) throw badData(reader.file.name, `its metadata has ${quote(key)} twice`);
    await reader.need(4);
    metadata.set(key, await readValue(reader, key, reader.u32()));
  }
  return metadata;
}

async function readValue(reader: GgufReader, key: string, type: number): Promise<GgufValue> {
  if (type === STRING) return await reader.string(quote(key), MAX_TEXT_BYTES);
  if (type === ARRAY) return await readList(reader, key);
  await reader.need(sizeOf(reader, key, type));
  return readScalar(reader, key, type);
}

function sizeOf(reader: GgufReader, key: string, type: number): number {
  const size = SIZES.get(type);
  if (size === undefined) {
    throw badData(reader.file.name, `its metadata value ${quote(key)} has the unknown type ${type}`);
  }
  return size;
}

function readScalar(reader: GgufReader, key: string, type: number): number | bigint | boolean {
  if (type === BOOL) {
    const value = reader.u8();
    if (value > 1) {
      throw badData(reader.file.name, `its metadata value ${quote(key)} must be 0 or 1: found ${value}`);
    }
    return value === 1;
  }
  const { u8, i8, u16, i16, u32, i32, f32, u64, i64, f64 } = reader;
  return [u8, i8, u16, i16, u32, i32, f32, u8, u8, u8, u64, i64, f64][type]();
}

async function readList(reader: GgufReader, key: string): Promise<GgufValue> {
  await reader.need(4);
  const type = reader.u32();
  if (type === ARRAY) {
    throw badData(reader.file.name, `its metadata list ${quote(key)} holds lists, which ds does not read`);
  }
  const length = await reader.count(`length of ${quote(key)}`, MAX_LIST_LENGTH);
  const wanted = KEPT_LISTS.has(key);
  if (type === STRING) {
    if (8 * length > reader.remaining) {
      throw badData(
        reader.file.name,
        `its metadata list ${quote(key)} of ${length} strings does not fit into the file`,
      );
    }
    const what = `an item of ${quote(key)}`;
    const items: string[] = [];
    for (let i = 0; i < length; i++) {
      const item = reader.stringHere(what, MAX_TEXT_BYTES) ?? await reader.string(what, MAX_TEXT_BYTES);
      if (wanted) items.push(item);
    }
    return wanted ? items : { length };
  }
  const size = sizeOf(reader, key, type);
  // Refuses lists longer than the file before anything of their length is allocated.
  await reader.need(size * length);
  const bytes = reader.bytes(size * length);
  if (!wanted || (type !== 5 && type !== 6)) return { length };
  const copy = bytes.slice().buffer;
  return type === 6 ? new Float32Array(copy) : new Int32Array(copy);
}
