import { randomBytes } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { access, type FileHandle, open, readlink, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { DsError } from "../core/errors.ts";
import { cannotWrite, errorCode, errorReason } from "./failures.ts";
import { removeStaleTemporaries } from "./stale_files.ts";

export { type LockOptions, withLock } from "./lock.ts";

/** What is to be written: all of it, or pieces as they come. An error thrown by the pieces undoes the write. */
export type OutputContent = Uint8Array | string | AsyncIterable<Uint8Array>;

async function writeAll(handle: FileHandle, content: OutputContent): Promise<void> {
  const pieces = typeof content === "string"
    ? [new TextEncoder().encode(content)]
    : content instanceof Uint8Array
    ? [content]
    : content;
  for await (const piece of pieces) {
    let done = 0;
    while (done < piece.length) {
      const { bytesWritten } = await handle.write(piece, done, Math.min(piece.length - done, 2 ** 24));
      done += bytesWritten;
    }
  }
}

/** The file a chain of links leads to, there or not: replacing a link itself would cut it off from its target. */
async function linkTarget(path: string): Promise<string> {
  let at = path;
  for (let links = 0; links < 40; links++) {
    let target: string;
    try {
      target = await readlink(at);
    } catch {
      return at;
    }
    at = resolve(dirname(at), target);
  }
  throw new DsError("cannot-create", `Cannot write ${path}: ${errorReason({ code: "ELOOP" })}`);
}

/** Makes a rename last through a power cut; some systems and file systems refuse to sync a folder. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    return;
  }
}

/** `/dev/null`, `/dev/stdout` or a pipe: written as it is, as a rename would replace the device by a file. */
async function writeToDevice(path: string, facts: Stats, content: OutputContent): Promise<void> {
  let probe: FileHandle | undefined;
  let handle: FileHandle | undefined;
  try {
    // Opening a pipe nobody reads waits for ever; without waiting it is refused.
    if (facts.isFIFO()) probe = await open(path, constants.O_WRONLY | constants.O_NONBLOCK);
    handle = await open(path, constants.O_WRONLY);
    await writeAll(handle, content);
  } finally {
    await probe?.close();
    await handle?.close();
  }
}

async function replaceFile(path: string, facts: Stats | null, content: OutputContent): Promise<void> {
  const folder = dirname(path);
  if (facts !== null) await access(path, constants.W_OK);
  await removeStaleTemporaries(folder);
  const temporary = join(folder, `.ds-${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
  let handle: FileHandle | undefined;
  try {
    handle = await open(temporary, "wx", 0o666);
    await writeAll(handle, content);
    if (facts !== null) await handle.chmod(facts.mode & 0o7777);
    await handle.sync();
    await handle.close();
    handle = undefined;
    await rename(temporary, path);
  } catch (error) {
    await handle?.close().catch(() => {});
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  await syncFolder(folder);
}

async function factsOf(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}

/**
 * Writes a file so that at any moment, a crash or power cut included, `path` holds the old content or the new one:
 * into a temporary file of the same folder, then renamed. Devices and pipes are written directly.
 *
 * @throws {DsError} kind "cannot-create" where the path does not allow it (no such folder, a folder, no permission),
 * "io" where the device is full or fails; errors thrown by `content` pass through. Nothing half-written stays.
 */
export async function writeAtomically(path: string, content: OutputContent): Promise<void> {
  let source: { error: unknown } | undefined;
  const guarded = typeof content === "string" || content instanceof Uint8Array
    ? content
    : (async function* () {
      try {
        yield* content;
      } catch (error) {
        source = { error };
        throw error;
      }
    })();
  try {
    const target = await linkTarget(path);
    const facts = await factsOf(target);
    if (facts === null) {
      const folder = await factsOf(dirname(target));
      if (folder === null) {
        throw new DsError(
          "cannot-create",
          `Cannot write ${path}: its folder ${dirname(target)} is not there, make it first`,
        );
      }
      await replaceFile(target, null, guarded);
    } else if (facts.isFile()) await replaceFile(target, facts, guarded);
    else if (facts.isDirectory()) throw new DsError("cannot-create", `Cannot write ${path}: it is a folder`);
    else if (facts.isCharacterDevice() || facts.isFIFO()) await writeToDevice(target, facts, guarded);
    else {throw new DsError(
        "cannot-create",
        `Cannot write ${path}: it is neither a file, a pipe nor a terminal`,
      );}
  } catch (error) {
    if (source !== undefined) throw source.error;
    throw cannotWrite(path, error);
  }
}
