import { createReadStream } from "node:fs";
import { finished, pipeline } from "node:stream";
import { createInflateRaw } from "node:zlib";
import { badData } from "../core/errors.ts";
import type { FileSource } from "../core/files.ts";
import { cannotRead } from "./failures.ts";
import { diskFiles } from "./files.ts";

const END_BYTES = 22;
const LONGEST_COMMENT = 65535;
const MOST_DIRECTORY_BYTES = 2 ** 24;

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly packedBytes: number;
  readonly bytes: number;
  readonly headerOffset: number;
}

async function readDirectory(file: FileSource): Promise<{ view: DataView; entries: number; start: number }> {
  const tailBytes = Math.min(file.size, END_BYTES + LONGEST_COMMENT);
  const tail = await file.read(file.size - tailBytes, tailBytes);
  const view = new DataView(tail.buffer, tail.byteOffset, tail.length);
  for (let at = tailBytes - END_BYTES; at >= 0; at--) {
    if (
      view.getUint32(at, true) !== 0x06054b50 || at + END_BYTES + view.getUint16(at + 20, true) !== tailBytes
    ) continue;
    const entries = view.getUint16(at + 10, true);
    const bytes = view.getUint32(at + 12, true);
    const start = view.getUint32(at + 16, true);
    if (entries === 0xffff || bytes === 0xffffffff || start === 0xffffffff) {
      throw badData(file.name, "it is a zip64 archive, which ds does not read");
    }
    if (bytes > MOST_DIRECTORY_BYTES || start + bytes > file.size - tailBytes + at) {
      throw badData(
        file.name,
        `its list of files claims ${bytes} bytes from byte ${start}, which do not fit`,
      );
    }
    const directory = await file.read(start, bytes);
    return { view: new DataView(directory.buffer, directory.byteOffset, bytes), entries, start };
  }
  throw badData(file.name, "it is not a whole zip archive");
}

/** The one entry of that name. */
async function findEntry(file: FileSource, name: string): Promise<Entry> {
  const { view, entries, start } = await readDirectory(file);
  let found: Entry | undefined;
  for (let at = 0, index = 0; index < entries; index++) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== 0x02014b50) {
      throw badData(file.name, `entry ${index} of its list of files is broken`);
    }
    const nameBytes = view.getUint16(at + 28, true);
    const next = at + 46 + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    if (next > view.byteLength) throw badData(file.name, `entry ${index} of its list of files is cut off`);
    const entryName = new TextDecoder().decode(
      new Uint8Array(view.buffer, view.byteOffset + at + 46, nameBytes),
    );
    if (entryName === name) {
      if (found !== undefined) throw badData(file.name, `it holds ${name} twice`);
      if ((view.getUint16(at + 8, true) & 1) !== 0) throw badData(file.name, `${name} is encrypted`);
      found = {
        name,
        method: view.getUint16(at + 10, true),
        packedBytes: view.getUint32(at + 20, true),
        bytes: view.getUint32(at + 24, true),
        headerOffset: view.getUint32(at + 42, true),
      };
    }
    at = next;
  }
  if (found === undefined) throw badData(file.name, `it does not hold ${name}`);
  if (found.method !== 0 && found.method !== 8) {
    throw badData(
      file.name,
      `${name} is packed with method ${found.method}; ds reads 0 (stored) and 8 (deflated)`,
    );
  }
  if (found.headerOffset + 30 > start) {
    throw badData(file.name, `${name} claims to begin at byte ${found.headerOffset}`);
  }
  return found;
}

async function dataOffset(file: FileSource, entry: Entry): Promise<number> {
  const header = await file.read(entry.headerOffset, 30);
  const view = new DataView(header.buffer, header.byteOffset, 30);
  const offset = entry.headerOffset + 30 + view.getUint16(26, true) + view.getUint16(28, true);
  if (view.getUint32(0, true) === 0x04034b50 && offset + entry.packedBytes <= file.size) return offset;
  throw badData(file.name, `${entry.name} does not lie where its list of files says`);
}

/**
 * The content of one file of a zip archive, in pieces, inflated as they are read: exactly as many bytes as the
 * archive's list of files says.
 *
 * @throws {DsError} kind "bad-data" for an archive that is not whole, or not of the kind Python wheels are
 */
export async function* zipEntry(path: string, name: string): AsyncGenerator<Uint8Array> {
  const file = await diskFiles.open(path);
  let entry: Entry;
  let start: number;
  try {
    entry = await findEntry(file, name);
    start = await dataOffset(file, entry);
  } finally {
    await file.close();
  }
  if (entry.packedBytes === 0) {
    if (entry.bytes !== 0) {
      throw badData(path, `${name} has no content where ${entry.bytes} bytes are listed`);
    }
    return;
  }
  const packed = createReadStream(path, {
    start,
    end: start + entry.packedBytes - 1,
    highWaterMark: 2 ** 20,
  });
  const pieces = entry.method === 0
    ? packed
    : pipeline(packed, createInflateRaw({ chunkSize: 2 ** 18 }), () => {});
  let done = 0;
  try {
    for await (const piece of pieces as AsyncIterable<Uint8Array>) {
      done += piece.length;
      if (done > entry.bytes) {
        throw badData(path, `${name} unpacks to more than the ${entry.bytes} bytes listed`);
      }
      yield piece;
    }
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (typeof code === "string" && /^(Z_|ERR_|ERR_STREAM_PREMATURE_CLOSE)/.test(code)) {
      throw badData(path, `${name} cannot be unpacked: its compressed data is broken`);
    }
    throw cannotRead(path, error);
  } finally {
    packed.destroy();
    await new Promise<void>((resolve) => packed.closed ? resolve() : finished(packed, () => resolve()));
  }
  if (done !== entry.bytes) {
    throw badData(path, `${name} unpacks to ${done} bytes where ${entry.bytes} are listed`);
  }
}
