import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import process from "node:process";

const PAUSE_MS = 100;

/**
 * Runs `work` while no other process or thread does under the same path; the others wait.
 *
 * @param path a file that is there as long as somebody is at work
 * @param seconds after which whoever made it is taken to have hung
 */
export function withLock(path: string, seconds: number, work: () => void): void {
  while (!takes(path)) {
    if (isLeft(path, seconds)) rmSync(path, { force: true });
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
  }
  try {
    work();
  } finally {
    rmSync(path, { force: true });
  }
}

function takes(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") return false;
    throw error;
  }
}

/** Whether its process died before it could take the file away. */
function isLeft(path: string, seconds: number): boolean {
  try {
    if (Date.now() - statSync(path).mtimeMs > 1000 * seconds) return true;
    const owner = Number(readFileSync(path, "utf8"));
    // Still empty: it was made this moment.
    return owner > 0 && !isAlive(owner);
  } catch {
    // It was taken away just now.
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as { code?: string }).code !== "ESRCH";
  }
}
