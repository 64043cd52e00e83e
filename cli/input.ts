import { open } from "node:fs/promises";
import { badData, DsError } from "../core/errors.ts";
import { cannotRead } from "../runtime/failures.ts";
import type { CommandTerminal } from "./command_terminal.ts";

/** Texts longer than this do not fit a string on every runtime. */
const MOST_TEXT_BYTES = 256 * 2 ** 20;

/**
 * A text file, or stdin where the path is "-"; a byte order mark is dropped.
 *
 * @throws {DsError} kind "missing-input", "io" or, where it is too long or no UTF-8, "bad-data"
 */
export async function readText(path: string, terminal: CommandTerminal): Promise<string> {
  if (path === "-") return await terminal.readStdin();
  const bytes = await readBytes(path, MOST_TEXT_BYTES);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badData(path, "it is not UTF-8 text");
  }
}

/** A whole file of at most `most` bytes; pipes are read to their end. */
export async function readBytes(path: string, most: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const file = await open(path, "r");
    try {
      const facts = await file.stat();
      if (facts.isDirectory()) throw badData(path, "it is a folder");
      const refuse = () => badData(path, `it is longer than ${most} bytes`);
      if (facts.size > most) throw refuse();
      if (facts.isFile()) return new Uint8Array(await file.readFile());
      const chunks: Uint8Array[] = [];
      let total = 0;
      for (;;) {
        const { bytesRead, buffer } = await file.read(new Uint8Array(65536), 0, 65536, null);
        if (bytesRead === 0) break;
        total += bytesRead;
        if (total > most) throw refuse();
        chunks.push(buffer.subarray(0, bytesRead));
      }
      return new Uint8Array(Buffer.concat(chunks));
    } finally {
      await file.close();
    }
  } catch (error) {
    throw cannotRead(path, error);
  }
}

/** A JSON array of token ids. */
export async function readTokenIds(path: string, terminal: CommandTerminal): Promise<number[]> {
  const text = await readText(path, terminal);
  const name = path === "-" ? "stdin" : path;
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    throw badData(name, "it is not JSON, and token ids are a JSON array like [1, 2, 3]");
  }
  if (!Array.isArray(found)) throw badData(name, "it must be a JSON array of token ids, like [1, 2, 3]");
  const at = found.findIndex((id) => !(Number.isSafeInteger(id) && id >= 0 && id < 2 ** 31));
  if (at >= 0) {
    throw badData(
      name,
      `a token id must be a whole number from 0: found ${
        JSON.stringify(found[at])?.slice(0, 60)
      } at place ${at}`,
    );
  }
  return found as number[];
}

/** What a failure to be used on this version says, with what to use instead. */
export function notInThisVersion(what: string, instead: string): DsError {
  return new DsError("usage", `Cannot use ${what}: this version does not have it; ${instead}`);
}
