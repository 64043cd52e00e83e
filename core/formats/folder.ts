import { badData, DsError } from "../errors.ts";
import type { FileSource, FileSystem } from "../files.ts";
import { quote } from "../quote.ts";
import { type JsonLimits, type JsonObject, parseJsonObject } from "./strict_json.ts";

/** `name` in `folder`, whether or not it exists. */
export function childPath(folder: string, name: string): string {
  return /[/\\]$/.test(folder) ? folder + name : `${folder}/${name}`;
}

/**
 * Refuses file names out of a downloaded file that could lead out of its folder.
 *
 * @throws {DsError} kind "bad-data"
 */
export function checkInside(folder: string, name: string): void {
  const stays = name.length > 0 && name.length <= 1024 && !/[\\\0:]/.test(name) &&
    name.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  if (!stays) {
    throw badData(folder, `it names the file ${quote(name)}, which is not a path inside the folder`);
  }
}

/**
 * Opens the file `name` of a folder, which must not be a link out of it.
 *
 * @throws {DsError} kind "bad-data" for names that lead elsewhere, "missing-input" where there is no such file
 */
export async function openInside(fs: FileSystem, folder: string, name: string): Promise<FileSource> {
  checkInside(folder, name);
  return await fs.open(await fs.resolveInside(folder, name));
}

/** The whole content of a small file of the folder; null where there is none. */
export async function readOptional(
  fs: FileSystem,
  folder: string,
  name: string,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  if (await fs.kind(childPath(folder, name)) === "missing") return null;
  const file = await openInside(fs, folder, name);
  try {
    return await readWhole(file, maxBytes);
  } finally {
    await file.close();
  }
}

export async function readWhole(file: FileSource, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  if (file.size > maxBytes) {
    throw badData(file.name, `it must be at most ${maxBytes} bytes: found ${file.size}`);
  }
  return await file.read(0, file.size);
}

export async function readOptionalJson(
  fs: FileSystem,
  folder: string,
  name: string,
  limits: JsonLimits,
): Promise<JsonObject | null> {
  const bytes = await readOptional(fs, folder, name, limits.bytes);
  return bytes === null ? null : parseJsonObject(bytes, childPath(folder, name), limits);
}

export function missing(path: string, needed: string): DsError {
  return new DsError("missing-input", `Cannot open ${path} as a model: ${needed}`);
}
