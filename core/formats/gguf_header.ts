import { badData } from "../errors.ts";
import type { FileSource } from "../files.ts";
import { storedBlock, storedBytes } from "../quantisation.ts";
import type { StoredDType } from "./checkpoint.ts";
import { type GgufValue, readMetadata } from "./gguf_metadata.ts";
import { GgufReader } from "./gguf_reader.ts";
import type { FoundTensor } from "./model_tensors.ts";
import { quote } from "../quote.ts";

export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, FoundTensor>;
}

/** "GGUF" as a little-endian word. */
export const GGUF_MAGIC = 0x46554747;

const MAX_METADATA = 65_536;
const MAX_TENSORS = 100_000;
const MAX_NAME_BYTES = 256;
const MAX_RANK = 4;
const MAX_ALIGNMENT = 2 ** 20;

const TYPES: ReadonlyMap<number, StoredDType> = new Map([
  [0, "f32"],
  [1, "f16"],
  [2, "q4_0"],
  [3, "q4_1"],
  [6, "q5_0"],
  [7, "q5_1"],
  [8, "q8_0"],
  [10, "q2_k"],
  [11, "q3_k"],
  [12, "q4_k"],
  [13, "q5_k"],
  [14, "q6_k"],
  [20, "iq4_nl"],
  [23, "iq4_xs"],
  [30, "bf16"],
]);

/** Names of the types ds does not read, for messages. */
const OTHER_TYPES: ReadonlyMap<number, string> = new Map([
  [9, "q8_1"],
  [15, "q8_k"],
  [16, "iq2_xxs"],
  [17, "iq2_xs"],
  [18, "iq3_xxs"],
  [19, "iq1_s"],
  [21, "iq3_s"],
  [22, "iq2_s"],
  [24, "i8"],
  [25, "i16"],
  [26, "i32"],
  [27, "i64"],
  [28, "f64"],
  [29, "iq1_m"],
  [34, "tq1_0"],
  [35, "tq2_0"],
  [39, "mxfp4"],
]);

/**
 * Metadata and tensors of a GGUF file, versions 2 and 3 (which differ in byte order only, and ds reads little-endian
 * files). Every tensor is known to lie in the file and to overlap no other.
 *
 * @throws {DsError} kind "bad-data"
 */
export async function readGgufHeader(file: FileSource): Promise<GgufHeader> {
  const reader = new GgufReader(file);
  await reader.need(8);
  const magic = reader.u32();
  if (magic !== GGUF_MAGIC) throw badData(file.name, "it does not begin with GGUF");
  const version = reader.u32();
  if ((version & 0xffff) === 0 && version !== 0) {
    throw badData(file.name, "it is a big-endian GGUF file; ds reads little-endian ones");
  }
  if (version !== 2 && version !== 3) {
    throw badData(file.name, `it is GGUF version ${version}; ds reads versions 2 and 3`);
  }
  const tensorCount = await reader.count("number of tensors", MAX_TENSORS);
  const metadataCount = await reader.count("number of metadata values", MAX_METADATA);
  const metadata = await readMetadata(reader, metadataCount);
  checkWhole(metadata, file.name);

  const tensors: FoundTensor[] = [];
  for (let i = 0; i < tensorCount; i++) tensors.push(await readTensor(reader));
  const alignment = alignmentOf(metadata, file.name);
  const dataStart = Math.ceil(reader.position / alignment) * alignment;
  return { metadata, tensors: placed(tensors, dataStart, alignment, file) };
}

function checkWhole(metadata: ReadonlyMap<string, GgufValue>, file: string): void {
  const parts = metadata.get("split.count") ?? 0;
  if (parts !== 0 && parts !== 1) {
    throw badData(
      file,
      `it is one of ${parts} parts of a split model; merge them into one file first (llama-gguf-split --merge)`,
    );
  }
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>, file: string): number {
  const alignment = metadata.get("general.alignment") ?? 32;
  const isPowerOfTwo = typeof alignment === "number" && Number.isSafeInteger(alignment) && alignment > 0 &&
    alignment <= MAX_ALIGNMENT && (alignment & (alignment - 1)) === 0;
  if (!isPowerOfTwo) {
    throw badData(
      file,
      `general.alignment must be a power of two up to ${MAX_ALIGNMENT}: found ${String(alignment)}`,
    );
  }
  return alignment;
}

/** One tensor's entry; `offset` still counts from the start of the data. */
async function readTensor(reader: GgufReader): Promise<FoundTensor> {
  const { file } = reader;
  const name = await reader.string("tensor name", MAX_NAME_BYTES);
  await reader.need(4);
  const rank = reader.u32();
  if (rank < 1 || rank > MAX_RANK) {
    throw badData(
      file.name,
      `its tensor ${quote(name)} must have 1 to ${MAX_RANK} dimensions: found ${rank}`,
    );
  }
  const shape: number[] = [];
  for (let i = 0; i < rank; i++) shape.unshift(await reader.count(`size of ${quote(name)}`, 2 ** 40));
  await reader.need(4);
  const type = reader.u32();
  const dtype = TYPES.get(type);
  if (dtype === undefined) {
    const typeName = OTHER_TYPES.get(type) ?? `number ${type}`;
    throw badData(
      file.name,
      `its tensor ${quote(name)} has type ${typeName}; ds reads ${[...TYPES.values()].join(", ")}`,
    );
  }
  const offset = await reader.count(`offset of ${quote(name)}`, Number.MAX_SAFE_INTEGER);
  return { name, dtype, typeName: dtype, shape, file, offset };
}

/** Checks sizes and places against the file and each other, and makes offsets count from the start of the file. */
function placed(
  tensors: readonly FoundTensor[],
  dataStart: number,
  alignment: number,
  file: FileSource,
): Map<string, FoundTensor> {
  const byName = new Map<string, FoundTensor>();
  let end = 0;
  for (const tensor of [...tensors].sort((a, b) => a.offset - b.offset)) {
    const { name, offset } = tensor;
    const bytes = bytesOfTensor(tensor, file.name);
    if (byName.has(name)) throw badData(file.name, `it has the tensor ${quote(name)} twice`);
    if (offset % alignment !== 0) {
      throw badData(
        file.name,
        `its tensor ${quote(name)} begins at ${offset}, which is no multiple of ${alignment}`,
      );
    }
    if (offset < end) throw badData(file.name, `its tensor ${quote(name)} overlaps another`);
    if (dataStart + offset + bytes > file.size) {
      throw badData(
        file.name,
        `its tensor ${quote(name)} ends at byte ${dataStart + offset + bytes} of a file of ${file.size}`,
      );
    }
    end = offset + bytes;
    byName.set(name, { ...tensor, offset: dataStart + offset });
  }
  return byName;
}

function bytesOfTensor({ name, dtype, shape }: FoundTensor, file: string): number {
  const columns = shape[shape.length - 1];
  const values = shape.reduce((product, size) => product * size, 1);
  const block = storedBlock(dtype!).values;
  if (columns % block !== 0) {
    throw badData(
      file,
      `its tensor ${quote(name)} has rows of ${columns} values, not whole ${dtype} blocks of ${block}`,
    );
  }
  if (!Number.isSafeInteger(values * 4)) {
    throw badData(file, `its tensor ${quote(name)} is larger than any file: [${shape.join(", ")}]`);
  }
  return storedBytes(dtype!, values);
}
