import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { withLock } from "./lock.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NATIVE = join(ROOT, "backends", "cuda", "native");
const BUILDS = join(ROOT, "node_modules", ".ds_cuda");
const LOCK_SECONDS = 900;

/**
 * libds_cuda by the command of task `build:cuda`, for one kind of GPU alone, as building for all takes minutes.
 *
 * @returns its path, or why there is none
 * @throws {Error} it does not compile, with what nvcc says
 */
export function builtCuda(): { readonly library: string } | string {
  const found = spawnSync("nvcc", ["--version"], { encoding: "utf8" });
  if (found.status !== 0) return "no nvcc is here to build libds_cuda";
  const { tasks } = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8")) as {
    readonly tasks: Readonly<Record<string, string>>;
  };
  const task = tasks["build:cuda"]!;
  const folder = join(BUILDS, hashOf(found.stdout, task));
  const library = join(folder, "libds_cuda.so");
  mkdirSync(folder, { recursive: true });
  if (!existsSync(library)) {
    withLock(`${folder}.lock`, LOCK_SECONDS, () => {
      if (!existsSync(library)) build(task, library);
    });
  }
  return { library };
}

function build(task: string, library: string): void {
  const fresh = `${library}.${process.pid}`;
  const command = task.replace(/(-gencode \S+ )+/, "-gencode arch=compute_90,code=sm_90 ")
    .replace(/-o \S+/, `-o '${fresh}'`);
  const { status, stderr, error } = spawnSync("sh", ["-c", command], { cwd: ROOT, encoding: "utf8" });
  if (status !== 0) throw new Error(`Cannot build libds_cuda by ${command}: ${error?.message ?? stderr}`);
  renameSync(fresh, library);
}

function hashOf(version: string, task: string): string {
  const hash = createHash("sha256").update(JSON.stringify([version, task]));
  for (const name of readdirSync(NATIVE).sort()) {
    if (/\.(cu|cuh|h)$/.test(name)) hash.update(name).update(readFileSync(join(NATIVE, name)));
  }
  return hash.digest("hex").slice(0, 16);
}
