import type { Backend } from "../core/backend.ts";
import { checked } from "../core/checked.ts";
import { DsError } from "../core/errors.ts";

export type BackendName = "cpu" | "webgpu" | "cuda" | "reference";

export const BACKEND_NAMES: readonly BackendName[] = ["cuda", "webgpu", "cpu", "reference"];

export interface OpenOptions {
  /** Main memory of the machine: what backends without memory of their own keep to. Default: unknown, no bound. */
  readonly memoryBytes?: number;
  /** Threads of backend "cpu"; default: one per core. */
  readonly threads?: number;
  /** Whether backends "cuda" and "webgpu" may be in software, slower than "cpu"; default: only where they are asked for by name. */
  readonly software?: boolean;
  /** Where the library of backend "cuda" is; default: $DS_CUDA_LIBRARY, beside the executable, or where it is built. */
  readonly cudaLibrary?: string;
}

/**
 * How each backend is opened; one that is not listed is not part of this build. Dynamic imports: a backend nobody asks
 * for loads nothing. "auto" tries them in this order, best first.
 */
const OPENERS: ReadonlyMap<BackendName, (options: OpenOptions) => Promise<Backend>> = new Map([
  [
    "cuda",
    async (options: OpenOptions) => (await import("./cuda/backend.ts")).openCuda(options),
  ],
  [
    "webgpu",
    async (options: OpenOptions) => (await import("./webgpu/backend.ts")).openWebGpu(options),
  ],
  [
    "cpu",
    async (options: OpenOptions) => (await import("./cpu/backend.ts")).openCpu(options),
  ],
  [
    "reference",
    async ({ memoryBytes }: OpenOptions) =>
      (await import("./reference/backend.ts")).openReference(memoryBytes),
  ],
]);

/**
 * Opens a backend, its calls checked.
 *
 * @param name "auto" opens the best that works here
 * @throws {DsError} kind "backend-unavailable", saying why
 */
export async function openBackend(name: "auto" | BackendName, options: OpenOptions = {}): Promise<Backend> {
  if (name !== "auto") return checked(await open(name, options));
  const reasons: string[] = [];
  for (const candidate of OPENERS.keys()) {
    try {
      return checked(await open(candidate, { software: false, ...options }));
    } catch (error) {
      if (!(error instanceof DsError && error.kind === "backend-unavailable")) throw error;
      reasons.push(error.message);
    }
  }
  throw new DsError("backend-unavailable", `Cannot open any backend: ${reasons.join("; ")}`);
}

/** What backend "cpu" would find beside its code. */
export interface CpuFiles {
  /** The bytes of `kernels.wasm`. */
  readonly kernels: Uint8Array<ArrayBuffer>;
  /** The bytes of `kernels_relaxed.wasm`. */
  readonly relaxedKernels: Uint8Array<ArrayBuffer>;
  /** Where `worker.ts` can be started from. */
  readonly worker: URL;
}

/** Hands them over before the backend is opened, where they do not lie beside the code: in a single executable. */
export async function provideCpuFiles({ kernels, relaxedKernels, worker }: CpuFiles): Promise<void> {
  const { provideKernels } = await import("./cpu/module.ts");
  const { provideWorker } = await import("./cpu/pool.ts");
  provideKernels("kernels.wasm", kernels);
  provideKernels("kernels_relaxed.wasm", relaxedKernels);
  provideWorker(worker);
}

/** What backend "webgpu" would find beside its code and among the installed packages. */
export interface WebGpuFiles {
  /** The text of `kernels/<name>.wgsl` by name. */
  readonly shaders: Readonly<Record<string, string>>;
  /** Loads the native part of npm `webgpu`. */
  readonly dawn: () => unknown;
}

/** As `provideCpuFiles`, for backend "webgpu". */
export async function provideWebGpuFiles({ shaders, dawn }: WebGpuFiles): Promise<void> {
  const { provideShader } = await import("./webgpu/shaders.ts");
  const { provideDawn } = await import("./webgpu/device.ts");
  for (const [name, text] of Object.entries(shaders)) provideShader(name, text);
  provideDawn(dawn);
}

/** What backend "cuda" would find among the installed packages. */
export interface CudaFiles {
  /** Loads the native part of npm `koffi`. */
  readonly koffi: () => unknown;
}

/** As `provideCpuFiles`, for backend "cuda". */
export async function provideCudaFiles({ koffi }: CudaFiles): Promise<void> {
  const { provideKoffi } = await import("./cuda/library.ts");
  provideKoffi(koffi);
}

/** One line of `ds doctor`. */
export interface BackendStatus {
  readonly name: BackendName;
  readonly available: boolean;
  /** What it runs on; null where it does not. */
  readonly device: string | null;
  /** What else there is to say of the device. */
  readonly facts: Readonly<Record<string, string>>;
  /** Why it is not available; null where it is. */
  readonly reason: string | null;
}

/** Tries every backend in turn and closes it again. */
export async function backendStatus(options: OpenOptions = {}): Promise<BackendStatus[]> {
  const all: BackendStatus[] = [];
  for (const name of BACKEND_NAMES) {
    try {
      const backend = await open(name, options);
      const { name: device, facts = {} } = backend.device;
      all.push({ name, available: true, device, facts, reason: null });
      await backend.close();
    } catch (error) {
      all.push({
        name,
        available: false,
        device: null,
        facts: {},
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
  return all;
}

function open(name: BackendName, options: OpenOptions): Promise<Backend> {
  const opener = OPENERS.get(name);
  if (opener !== undefined) return opener(options);
  const offered = [...OPENERS.keys()].join(", ");
  const needed =
    `Cannot open backend "${name}" as this build has none: use --backend auto or one of ${offered}`;
  return Promise.reject(new DsError("backend-unavailable", needed));
}
