import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Reference data that lives beside the project, where it is there. */
const FOLDER = fileURLToPath(new URL("../../../shared/data/", import.meta.url));

/** Path of a file or folder of the shared data, or null. */
export function sharedPath(name: string): string | null {
  return existsSync(FOLDER + name) ? FOLDER + name : null;
}

// deno-lint-ignore no-explicit-any
export function sharedJson(name: string): any {
  return JSON.parse(readFileSync(FOLDER + name, "utf8"));
}

/** What a skipped test says. */
export function missingShared(name: string): string {
  return `needs ../shared/data/${name}: not here`;
}
