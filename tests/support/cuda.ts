import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type CudaBackend, openCuda } from "../../backends/cuda/backend.ts";
import { findCudaLibrary } from "../../backends/cuda/library_path.ts";
import { DsError } from "../../core/errors.ts";
import { withLock } from "./lock.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NATIVE = join(ROOT, "backends", "cuda", "native");
const BUILDS = join(ROOT, "node_modules", ".ds_cuda_host");
const LIBRARY = "libds_cuda_host.so";
const FLAGS = [
  "-std=c++17",
  "-O2",
  "-march=native",
  // The reference rounds every product and every sum.
  "-ffp-contract=off",
  // Its check of longjmp takes a jump between the fibers of a block for a broken stack.
  "-U_FORTIFY_SOURCE",
  "-fPIC",
  "-pthread",
  "-fvisibility=hidden",
  "-DDS_HOST",
];
const LOCK_SECONDS = 600;
const NO_COMPILER = "no C++ compiler is here to compile the kernels for this processor: " +
  "install g++ or clang++, or name one with CXX";

/** A way to compile the kernels for this machine's processor. */
interface Variant {
  /** Beside FLAGS, for everything. */
  readonly flags: readonly string[];
  /** Compiled too, and what for them replaces `flags`. */
  readonly sources: readonly { readonly path: string; readonly flags: readonly string[] }[];
}

const PLAIN: Variant = { flags: [], sources: [] };
const RACES_FLAGS = ["-O1", "-g1", "-DDS_HOST_RACES"];
/** In which every access to shared memory is looked at; g++'s alone. */
const INSTRUMENTED = [...RACES_FLAGS, "-fsanitize=thread", "--param", "tsan-instrument-func-entry-exit=0"];
const RACES: Variant = {
  flags: INSTRUMENTED,
  sources: [
    { path: join(NATIVE, "host", "races.cpp"), flags: RACES_FLAGS },
    { path: join(ROOT, "tests", "support", "planted_races.cu"), flags: INSTRUMENTED },
  ],
};

/** A library for tests. */
export interface TestLibrary {
  readonly library: string;
  /** Whether it is the kernels for this machine's processor. */
  readonly isHost: boolean;
}

let answer: TestLibrary | string | null = null;

/**
 * Makes ready what tests of backend "cuda" run on: its kernels compiled for this machine's processor, so that they run anywhere, or
 * with DS_TEST_GPU=1 the library itself, on a GPU.
 *
 * @returns the library, or why there is none
 * @throws {Error} the kernels do not compile, with what the compiler says
 */
export function useTestCuda(): TestLibrary | string {
  return answer ??= process.env.DS_TEST_GPU === "1" ? ownLibrary() : hostLibrary(PLAIN);
}

/** Why tests of backend "cuda" have nothing to run on, or null. */
export function cudaAbsence(): string | null {
  const found = useTestCuda();
  return typeof found === "string" ? found : null;
}

/** Opens what `useTestCuda` found. */
export async function openTestCuda(): Promise<CudaBackend> {
  const found = useTestCuda();
  if (typeof found === "string") throw new DsError("backend-unavailable", found);
  return await openCuda({ cudaLibrary: found.library }).catch((error) => {
    // What was compiled from this source must open; a machine may lack a GPU.
    throw found.isHost ? new Error(error.message) : error;
  });
}

function ownLibrary(): TestLibrary | string {
  try {
    return { library: findCudaLibrary(), isHost: false };
  } catch (error) {
    if (error instanceof DsError) return error.message;
    throw error;
  }
}

/**
 * The kernels compiled for this machine's processor so that races of a block's threads are counted, by `int ds_host_races()` since it
 * was last called, beside those that `planted_races.cu` plants.
 *
 * @returns the library, or why there is none
 * @throws {Error} the kernels do not compile, with what the compiler says
 */
export function racesLibrary(): TestLibrary | string {
  const compiler = findCompiler();
  if (compiler === null) return NO_COMPILER;
  const probe = [...FLAGS, ...RACES.flags, "-Werror", "-x", "c++", "-c", "-", "-o", "/dev/null"];
  const { status, stderr } = spawnSync(compiler.command, probe, { input: "", encoding: "utf8" });
  if (status === 0) return hostLibrary(RACES);
  return `${compiler.command} does not show accesses as g++ does: ${stderr.split("\n")[0]}`;
}

function hostLibrary(variant: Variant): TestLibrary | string {
  const compiler = findCompiler();
  if (compiler === null) return NO_COMPILER;
  const folder = join(BUILDS, hashOf(compiler, variant));
  const library = join(folder, LIBRARY);
  mkdirSync(BUILDS, { recursive: true });
  // Several test processes ask at once, and one of them compiles.
  if (!existsSync(library)) {
    withLock(`${folder}.lock`, LOCK_SECONDS, () => {
      if (!existsSync(library)) compile(compiler.command, folder, variant);
    });
  }
  return { library, isHost: true };
}

interface Compiler {
  readonly command: string;
  readonly version: string;
}

function findCompiler(): Compiler | null {
  const { CXX } = process.env;
  for (const command of CXX ? [CXX] : ["c++", "g++", "clang++"]) {
    const { status, stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
    if (status === 0) return { command, version: stdout };
  }
  return null;
}

/** Of all that the result depends on, the processor included. */
function hashOf({ command, version }: Compiler, { flags, sources }: Variant): string {
  const hash = createHash("sha256").update(JSON.stringify([version, FLAGS, flags]));
  for (const source of sources) hash.update(source.flags.join(" ")).update(readFileSync(source.path));
  hash.update(spawnSync(command, ["-march=native", "-E", "-v", "-x", "c++", "/dev/null"]).stderr ?? "");
  for (const path of readdirSync(NATIVE, { recursive: true, encoding: "utf8" }).sort()) {
    if (/\.(cu|cuh|h|cpp|inc)$/.test(path)) hash.update(path).update(readFileSync(join(NATIVE, path)));
  }
  return hash.digest("hex").slice(0, 16);
}

/** Compiles into `folder`, whole or not at all. */
function compile(compiler: string, folder: string, { flags, sources }: Variant): void {
  const fresh = mkdtempSync(`${folder}-`);
  try {
    const kernels = readdirSync(NATIVE).filter((name) => name.endsWith(".cu"));
    const all = [...kernels.map((name) => ({ path: join(NATIVE, name), flags })), ...sources];
    const objectOf = (path: string) => join(fresh, `${basename(path)}.o`);
    const lines = all.map(({ path, flags }) =>
      [compiler, ...FLAGS, ...flags, "-I", NATIVE, "-x", "c++", "-c", path, "-o", objectOf(path)]
        .map((word) => `'${word}'`).join(" ")
    );
    const xargs = ["-0", "-P", "2", "-n", "1", "sh", "-c", 'eval "$0"'];
    must(spawnSync("xargs", xargs, { input: lines.join("\0"), encoding: "utf8" }));
    const objects = all.map(({ path }) => objectOf(path));
    must(
      spawnSync(compiler, ["-shared", "-pthread", ...objects, "-o", join(fresh, LIBRARY), "-ldl"], {
        encoding: "utf8",
      }),
    );
    for (const object of objects) rmSync(object);
    renameSync(fresh, folder);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(join(folder, LIBRARY))) throw error;
  }
}

function must(
  { status, stderr, error }: { status: number | null; stderr: string; error?: Error | undefined },
): void {
  if (status === 0) return;
  throw new Error(`Cannot compile backends/cuda/native for this processor: ${error?.message ?? stderr}`);
}
