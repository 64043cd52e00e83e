import { lstat, opendir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isRunning } from "./process_identity.ts";

const TEMPORARY = /^\.ds-(\d{1,10})-[0-9a-f]{12}\.tmp$/;
/** A folder with more entries is not searched to its end: a write must stay quick. */
const MOST_ENTRIES = 4096;
const YOUNGEST_MS = 60_000;

/** Removes the temporary files that killed runs of ds left in a folder; failures do not matter. */
export async function removeStaleTemporaries(folder: string): Promise<void> {
  try {
    let seen = 0;
    for await (const entry of await opendir(folder)) {
      if (++seen > MOST_ENTRIES) break;
      const match = TEMPORARY.exec(entry.name);
      if (match === null || isRunning(Number(match[1]))) continue;
      const path = join(folder, entry.name);
      // The age guards a writer on another machine that shares the folder.
      if (Date.now() - (await lstat(path)).mtimeMs > YOUNGEST_MS) await rm(path, { force: true });
    }
  } catch {
    return;
  }
}
