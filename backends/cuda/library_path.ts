import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { unavailable } from "./faults.ts";

const BUILD_FOLDER = fileURLToPath(new URL("build", import.meta.url));
/** Whether this code lies inside a single executable, where Bun calls its folders so. */
const IS_PACKED = /^(\/\$bunfs|[A-Z]:\\~BUN)/.test(BUILD_FOLDER);

/** What the search looks at. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** As Node names it: "linux", "win32", "darwin". */
  readonly platform: string;
  /** The program that runs. */
  readonly executable: string;
  exists(path: string): boolean;
}

const here: Surroundings = {
  environment: process.env,
  platform: process.platform,
  executable: process.execPath,
  exists: existsSync,
};

/**
 * Where libds_cuda is: what is named, else the variable DS_CUDA_LIBRARY, else beside the program that runs, else where
 * `deno task build:cuda` puts it.
 *
 * @param named by `--cuda-library`
 * @throws {DsError} kind "backend-unavailable": what is named is not there, or none of the places has it
 */
export function findCudaLibrary(named?: string, around: Surroundings = here): string {
  const { environment, platform, executable, exists } = around;
  const name = platform === "win32" ? "ds_cuda.dll" : "libds_cuda.so";
  const wanted = named || environment.DS_CUDA_LIBRARY;
  if (wanted) {
    // A bare name would be looked for among the system's libraries.
    const path = resolve(wanted);
    if (exists(path)) return path;
    throw unavailable(
      `${path} does not exist: --cuda-library and DS_CUDA_LIBRARY name the ${name} that deno task build:cuda makes`,
    );
  }
  if (platform === "darwin") throw unavailable("macOS has no CUDA: use --backend webgpu or cpu");
  const folders = [dirname(executable), ...(IS_PACKED ? [] : [BUILD_FOLDER])];
  const places = folders.map((folder) => join(folder, name));
  const found = places.find(exists);
  if (found !== undefined) return found;
  throw unavailable(
    `there is no ${
      places.join(" and no ")
    }: build it with deno task build:cuda, or name it with --cuda-library or ` +
      "DS_CUDA_LIBRARY",
  );
}
