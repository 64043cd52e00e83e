import { execFile } from "node:child_process";
import { readFile, readlink } from "node:fs/promises";
import { hostname, platform } from "node:os";

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

/** When a process began, in the system's own notation; null where that cannot be known. */
export async function processStart(pid: number): Promise<string | null> {
  if (platform() === "linux") {
    const facts = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
    // The second field is the program's name in brackets and may hold anything; the 22nd is the start.
    return facts?.slice(facts.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  }
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
