import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile, readlink } from "node:fs/promises";
import { hostname, platform } from "node:os";
import { errorCode } from "./failures.ts";

let world: Promise<string> | undefined;

/**
 * Names what process numbers refer to: this machine, boot and process namespace. Two containers that share a
 * folder have the same numbers for different processes.
 */
export function processWorld(): Promise<string> {
  world ??= (async () => {
    const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
    const namespace = await readlink("/proc/self/ns/pid").catch(() => "");
    return `${hostname()} ${boot.trim()} ${namespace}`;
  })();
  return world;
}

/** Fields of Linux's account of a process from the third, its state, on; null where there is none. */
function statusFields(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in brackets and may hold anything.
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

/** Whether a process of this machine with that number runs; one that has ended and awaits its parent does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, and belongs to somebody else.
    if (errorCode(error) === "ESRCH") return false;
  }
  return !/^[ZX]/.test(statusFields(pid)?.[0] ?? "");
}

/** When a process began, in the system's own notation; null where that cannot be known. */
export async function processStart(pid: number): Promise<string | null> {
  if (platform() === "linux") return statusFields(pid)?.[19] ?? null;
  if (platform() === "win32") return null;
  return await new Promise((resolve) => {
    execFile(
      "ps",
      ["-o", "lstart=", "-p", String(pid)],
      { env: { ...process.env, LC_ALL: "C" } },
      (error, out) => {
        resolve(error === null && out.trim() !== "" ? out.trim() : null);
      },
    );
  });
}
