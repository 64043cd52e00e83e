import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** What a skipped test says. */
export const MISSING_MODEL =
  "needs smollm2-135m.gguf: name it in DS_TEST_MODEL, or run `ds pull smollm2-135m`";

/** The default model where this machine has it: named by DS_TEST_MODEL, else in the user's cache. */
export function realModelPath(): string | null {
  const { DS_TEST_MODEL, XDG_CACHE_HOME } = process.env;
  if (DS_TEST_MODEL) {
    if (!existsSync(DS_TEST_MODEL)) throw new Error(`DS_TEST_MODEL names no file: ${DS_TEST_MODEL}`);
    return DS_TEST_MODEL;
  }
  const path = join(XDG_CACHE_HOME || join(homedir(), ".cache"), "ds", "models", "smollm2-135m.gguf");
  return existsSync(path) ? path : null;
}
