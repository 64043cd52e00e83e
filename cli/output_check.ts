import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { DsError } from "../core/errors.ts";
import { cannotWrite, errorCode } from "../runtime/failures.ts";

/**
 * Finds out before a long computation that its result could not be written.
 *
 * @throws {DsError} kind "cannot-create"
 */
export async function requireWritable(path: string): Promise<void> {
  const folder = dirname(resolve(path));
  try {
    const facts = await stat(path).catch((error) => {
      if (errorCode(error) === "ENOENT") return null;
      throw error;
    });
    if (facts?.isDirectory()) throw new DsError("cannot-create", `Cannot write ${path}: it is a folder`);
    if (facts !== null) return await access(path, constants.W_OK);
    const above = await stat(folder).catch(() => null);
    if (above === null) {
      throw new DsError(
        "cannot-create",
        `Cannot write ${path}: its folder ${folder} is not there, make it first`,
      );
    }
    await access(folder, constants.W_OK);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}
