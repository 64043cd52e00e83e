import { badData } from "../errors.ts";
import type { FileSource } from "../files.ts";
import type { StoredDType } from "./checkpoint.ts";
import type { FoundTensor } from "./model_tensors.ts";
import { describe, quote } from "../quote.ts";
import { isObject, own, parseJsonObject } from "./strict_json.ts";

/** Bytes per value of the types of the format; ds reads the three with a name of its own. */
const TYPES: ReadonlyMap<string, { readonly bytes: number; readonly dtype: StoredDType | null }> = new Map([
  ["F32", { bytes: 4, dtype: "f32" }],
  ["F16", { bytes: 2, dtype: "f16" }],
  ["BF16", { bytes: 2, dtype: "bf16" }],
  ["BOOL", { bytes: 1, dtype: null }],
  ["U8", { bytes: 1, dtype: null }],
  ["I8", { bytes: 1, dtype: null }],
  ["F8_E4M3", { bytes: 1, dtype: null }],
  ["F8_E5M2", { bytes: 1, dtype: null }],
  ["U16", { bytes: 2, dtype: null }],
  ["I16", { bytes: 2, dtype: null }],
  ["U32", { bytes: 4, dtype: null }],
  ["I32", { bytes: 4, dtype: null }],
  ["U64", { bytes: 8, dtype: null }],
  ["I64", { bytes: 8, dtype: null }],
  ["F64", { bytes: 8, dtype: null }],
]);

const MAX_HEADER_BYTES = 25e6;
const MAX_TENSORS = 100_000;
const MAX_RANK = 8;
/** Keys and list entries: every tensor takes about a dozen. */
const MAX_ENTRIES = 24 * MAX_TENSORS;

/**
 * The tensors of a safetensors file, by name. They must tile the data exactly, without gap or overlap, so that no byte
 * of the file is left unaccounted for.
 *
 * @throws {DsError} kind "bad-data"
 */
export async function readSafetensors(file: FileSource): Promise<Map<string, FoundTensor>> {
  const dataStart = await headerEnd(file);
  const headerBytes = await file.read(8, dataStart - 8);
  if (headerBytes[0] !== 0x7b) throw badData(file.name, "its safetensors header must begin with {");
  const header = parseJsonObject(headerBytes, file.name, { bytes: MAX_HEADER_BYTES, entries: MAX_ENTRIES });

  const names = Object.keys(header).filter((name) => name !== "__metadata__");
  if (names.length > MAX_TENSORS) {
    throw badData(file.name, `it lists ${names.length} tensors, more than ${MAX_TENSORS}`);
  }
  checkMetadata(own(header, "__metadata__"), file.name);

  const dataBytes = file.size - dataStart;
  const spans: Span[] = [];
  const tensors = new Map<string, FoundTensor>();
  for (const name of names) {
    const { typeName, shape, begin, end } = entry(name, header[name], file.name);
    const type = TYPES.get(typeName);
    if (type === undefined) {
      throw badData(file.name, `its tensor ${quote(name)} has the unknown type ${quote(typeName)}`);
    }
    const bytes = shape.reduce((product, size) => product * size, type.bytes);
    if (!Number.isSafeInteger(bytes) || bytes !== end - begin) {
      throw badData(
        file.name,
        `its tensor ${quote(name)} is ${typeName} [${shape.join(", ")}], which does not fill its ${
          end - begin
        } bytes`,
      );
    }
    spans.push({ name, begin, end });
    tensors.set(name, { name, dtype: type.dtype, typeName, shape, file, offset: dataStart + begin });
  }
  checkTiling(spans, dataBytes, file.name);
  return tensors;
}

/** Byte offset of the data. */
async function headerEnd(file: FileSource): Promise<number> {
  if (file.size < 8) throw badData(file.name, `a safetensors file has at least 8 bytes: found ${file.size}`);
  const start = await file.read(0, 8);
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw badData(
      file.name,
      `its safetensors header must be at most ${MAX_HEADER_BYTES} bytes: it says ${length}`,
    );
  }
  const end = 8 + Number(length);
  if (end > file.size) {
    throw badData(file.name, `its safetensors header says it ends at byte ${end} of a file of ${file.size}`);
  }
  return end;
}

function checkMetadata(metadata: unknown, file: string): void {
  if (metadata === undefined) return;
  if (!isObject(metadata) || Object.values(metadata).some((value) => typeof value !== "string")) {
    throw badData(file, "its __metadata__ must be an object of text values");
  }
}

interface Entry {
  readonly typeName: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function entry(name: string, value: unknown, file: string): Entry {
  const refuse = (what: string, found: unknown) =>
    badData(file, `${what} of its tensor ${quote(name)}: found ${describe(found)}`);
  if (!isObject(value)) throw refuse("dtype, shape and data_offsets are needed", value);
  const unknown = Object.keys(value).find((key) => !["dtype", "shape", "data_offsets"].includes(key));
  if (unknown !== undefined) throw refuse("only dtype, shape and data_offsets are known", unknown);

  const typeName = own(value, "dtype");
  if (typeof typeName !== "string") throw refuse("a type name is needed as dtype", typeName);
  const shape = own(value, "shape");
  if (!Array.isArray(shape)) throw refuse("a list is needed as shape", shape);
  if (shape.length > MAX_RANK) throw refuse(`at most ${MAX_RANK} numbers are needed as shape`, shape);
  for (const size of shape) if (!isCount(size)) throw refuse("whole numbers are needed in the shape", size);
  const offsets = own(value, "data_offsets");
  if (!Array.isArray(offsets) || offsets.length !== 2) {
    throw refuse("two numbers are needed as data_offsets", offsets);
  }
  for (const offset of offsets) if (!isCount(offset)) throw refuse("whole data_offsets are needed", offset);
  const [begin, end] = offsets;
  if (begin > end) throw badData(file, `its tensor ${quote(name)} begins at ${begin}, after its end ${end}`);
  return { typeName, shape, begin, end };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

interface Span {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

function checkTiling(spans: Span[], dataBytes: number, file: string): void {
  spans.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { name, begin, end } of spans) {
    if (begin !== covered) {
      const flaw = begin < covered
        ? "overlaps the tensor before it"
        : `leaves a gap of ${begin - covered} bytes before it`;
      throw badData(file, `its tensor ${quote(name)} ${flaw}`);
    }
    covered = end;
  }
  if (covered !== dataBytes) {
    throw badData(file, `its tensors take ${covered} bytes and the file holds ${dataBytes} after the header`);
  }
}
