import { constants, type Stats } from "node:fs";
import { type FileHandle, lstat, open, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { badData, DsError } from "../core/errors.ts";
import { type FileSource, type FileSystem, MAX_BUFFER_BYTES } from "../core/files.ts";
import { cannotRead, errorCode } from "./failures.ts";

/** One system call reads at most this much: some systems stop at 2 GiB, and an abandoned read ends soon. */
const PIECE_BYTES = 2 ** 24;

class DiskFile implements FileSource {
  readonly name: string;
  readonly size: number;
  readonly #handle: FileHandle;
  #last: Promise<unknown> = Promise.resolve();

  constructor(name: string, size: number, handle: FileHandle) {
    this.name = name;
    this.size = size;
    this.#handle = handle;
  }

  read(
    offset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new RangeError(
        `Cannot read ${this.name} as offset must be a non-negative integer: found ${offset}`,
      );
    }
    if (!Number.isSafeInteger(length) || length < 0 || length > MAX_BUFFER_BYTES) {
      throw new RangeError(
        `Cannot read ${this.name} as length must be an integer from 0 to ${MAX_BUFFER_BYTES}: found ${length}`,
      );
    }
    // One at a time: a runtime may carry out a positioned read as a seek followed by a read.
    const result = this.#last.then(() => this.#readNow(offset, length, into));
    this.#last = result.catch(() => {});
    return result;
  }

  async #readNow(
    offset: number,
    length: number,
    into: Uint8Array<ArrayBuffer> | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (offset > this.size - length) {
      throw badData(
        this.name,
        `bytes ${offset} to ${offset + length} are needed, but the file has ${this.size}`,
      );
    }
    const bytes = into !== undefined && into.length >= length
      ? into.subarray(0, length)
      : new Uint8Array(length);
    let done = 0;
    while (done < length) {
      let count: number;
      try {
        const wanted = Math.min(length - done, PIECE_BYTES);
        count = (await this.#handle.read(bytes, done, wanted, offset + done)).bytesRead;
      } catch (error) {
        throw cannotRead(this.name, error);
      }
      if (count === 0) {
        throw badData(
          this.name,
          `it had ${this.size} bytes when it was opened and now ends at byte ${
            offset + done
          }: it was changed while being read`,
        );
      }
      done += count;
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#handle.close();
  }
}

function whatItIs(facts: Stats): string {
  if (facts.isDirectory()) return "a folder";
  if (facts.isFIFO()) return "a named pipe";
  if (facts.isCharacterDevice() || facts.isBlockDevice()) return "a device";
  return facts.isSocket() ? "a socket" : "not a regular file";
}

function refuseUnlessFile(path: string, facts: Stats): void {
  if (facts.isFile()) return;
  throw new DsError(
    "missing-input",
    `Cannot read ${path}: a regular file is needed, and this is ${whatItIs(facts)}`,
  );
}

async function openFile(path: string): Promise<FileSource> {
  let handle: FileHandle | undefined;
  try {
    // Before opening, as opening a pipe waits for a writer and opening a device may do anything.
    refuseUnlessFile(path, await stat(path));
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const facts = await handle.stat();
    refuseUnlessFile(path, facts);
    return new DiskFile(path, facts.size, handle);
  } catch (error) {
    await handle?.close();
    throw cannotRead(path, error);
  }
}

async function kindOf(path: string): Promise<"file" | "folder" | "other" | "missing"> {
  try {
    const facts = await stat(path);
    return facts.isFile() ? "file" : facts.isDirectory() ? "folder" : "other";
  } catch (error) {
    const code = errorCode(error);
    // A name no file can have names no file.
    if (["ENOENT", "ENOTDIR", "ENAMETOOLONG", "ERR_INVALID_ARG_VALUE"].includes(code ?? "")) return "missing";
    throw cannotRead(path, error);
  }
}

/** Whether `path` is `folder` or below it; both real. */
function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !/^([a-z]:|[\\/])/i.test(way);
}

/**
 * Why a file name taken from a model's files is refused, or null: only names below the folder pass, on every system.
 */
export function nameFault(name: string): string | null {
  if (name === "") return "it is empty";
  if (name.includes("\0")) return "it holds a NUL character";
  if (name.includes("\\")) return "it holds a backslash";
  if (name.startsWith("/") || /^[a-z]:/i.test(name)) return "it is an absolute path";
  if (name.split("/").some((part) => part === ".." || part === "." || part === "")) {
    return "it holds an empty, '.' or '..' part";
  }
  return null;
}

/** `blobs` of the Hugging Face cache entry that holds `folder`, if it is one of its snapshots. */
function siblingBlobs(folder: string): string | null {
  for (let at = folder; dirname(at) !== at; at = dirname(at)) {
    const entry = dirname(dirname(at));
    if (basename(dirname(at)) === "snapshots" && basename(entry).startsWith("models--")) {
      return join(entry, "blobs");
    }
  }
  return null;
}

async function resolveInside(folder: string, name: string): Promise<string> {
  const fault = nameFault(name);
  if (fault !== null) {
    throw badData(folder, `it names the file ${JSON.stringify(name)}, which is refused because ${fault}`);
  }
  const path = join(folder, name);
  let root: string;
  try {
    root = await realpath(folder);
  } catch (error) {
    throw cannotRead(folder, error);
  }
  let real: string;
  try {
    real = await realpath(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw cannotRead(path, error);
    const link = await lstat(path).then((facts) => facts.isSymbolicLink(), () => false);
    if (!link) return path;
    throw new DsError("missing-input", `Cannot read ${path}: it is a link to a file that is not there`);
  }
  const blobs = siblingBlobs(root);
  if (isInside(root, real) || (blobs !== null && isInside(blobs, real))) return real;
  throw badData(path, `it is a link to ${real}, outside its folder: copy the file into the folder instead`);
}

/**
 * Regular files of this machine. A pipe, device or folder is refused before it is opened, so nothing waits for a
 * writer. `resolveInside` returns the joined path where the file is not there, so that `kind` and `open` say so.
 */
export const diskFiles: FileSystem = { open: openFile, kind: kindOf, resolveInside };
