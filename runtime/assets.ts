import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DsError } from "../core/errors.ts";
import { errorReason } from "./failures.ts";

const provided = new Map<string, Uint8Array<ArrayBuffer>>();

/** Hands over a file of ds where it does not lie beside the code, as in a single executable. */
export function provideAsset(path: string, bytes: Uint8Array<ArrayBuffer>): void {
  provided.set(path, bytes);
}

/**
 * The bytes of a file that is part of ds.
 *
 * @param path within the project, like `runtime/embedded/tok512.bin`
 * @throws {DsError} kind "missing-input" where this copy of ds lacks it
 */
export function asset(path: string): Uint8Array<ArrayBuffer> {
  const known = provided.get(path);
  if (known !== undefined) return known;
  try {
    return new Uint8Array(readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url))));
  } catch (error) {
    throw new DsError(
      "missing-input",
      `Cannot read ${path} of ds: ${errorReason(error)}; this copy of ds is incomplete, install it again`,
      { cause: error },
    );
  }
}
