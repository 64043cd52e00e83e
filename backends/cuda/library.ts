import { unavailable } from "./faults.ts";
import { type FunctionName, FUNCTIONS } from "./functions.ts";

/** DS_ABI_VERSION of the `native/ds.h` that `functions.ts` follows. */
export const ABI_VERSION = 1;

/** A number, or memory of the host; what a function writes to it is there when the call returns. */
export type Argument = number | ArrayBufferView;

/** libds_cuda, loaded. Handles are addresses, all of them below 2^48. */
export interface CudaLibrary {
  readonly path: string;
  /** Calls ds_`name`. @returns its status */
  call(name: FunctionName, ...args: readonly Argument[]): number;
  /** ds_wait on another thread. @returns its status; the text of a failure stays with that thread */
  wait(mark: number): Promise<number>;
  /** ds_last_error of this thread. */
  lastError(): string;
}

interface Native {
  (...args: readonly Argument[]): number;
  /** @param args the arguments and `(error, status) => void` */
  async(...args: readonly unknown[]): void;
}

/** koffi's names of the types in `functions.ts`. */
const TYPES: Readonly<Record<string, string>> = {
  h: "uint64_t",
  w: "uint64_t",
  o: "uint64_t",
  i: "int32_t",
  l: "int64_t",
  f: "float",
  p: "void *",
};

let providedKoffi: (() => unknown) | null = null;

/** Hands over what loads the native part of npm `koffi` where the package is not installed: in a single executable. Null: it is. */
export function provideKoffi(load: (() => unknown) | null): void {
  providedKoffi = load;
}

/**
 * @param path of libds_cuda
 * @throws {DsError} kind "backend-unavailable", where it cannot be loaded or is of another version
 */
export async function loadCudaLibrary(path: string): Promise<CudaLibrary> {
  const { load } = await loadKoffi();
  let library: ReturnType<typeof load>;
  try {
    library = load(path);
  } catch (error) {
    throw unavailable(`${path} cannot be loaded: ${firstLine(error)}`);
  }
  const bind = (name: string, result: string, letters: string) => {
    try {
      return library.func(`ds_${name}`, result, [...letters].map((letter) => TYPES[letter]!));
    } catch (error) {
      throw unavailable(`${path} is no library of ds: ${firstLine(error)}`);
    }
  };
  const found: number = bind("abi_version", "int32_t", "")();
  if (found !== ABI_VERSION) {
    throw unavailable(
      `${path} is of another version, ${found} where this ds needs ${ABI_VERSION}: ` +
        "build it again from this source with deno task build:cuda",
    );
  }
  const lastError = bind("last_error", "str", "") as () => string;
  const functions = Object.fromEntries(
    Object.entries(FUNCTIONS).map(([name, letters]) => [name, bind(name, "int32_t", letters) as Native]),
  ) as Record<FunctionName, Native>;
  return {
    path,
    call: (name, ...args) => functions[name](...args),
    // koffi keeps nothing alive that an asynchronous call names: this one names a number alone.
    wait: (mark) =>
      new Promise((resolve, reject) => {
        functions.wait.async(
          mark,
          (error: Error | null, status: number) => error === null ? resolve(status) : reject(error),
        );
      }),
    lastError,
  };
}

async function loadKoffi(): Promise<Pick<typeof import("koffi"), "load">> {
  try {
    if (providedKoffi !== null) return providedKoffi() as typeof import("koffi");
    return await import("koffi");
  } catch (error) {
    throw unavailable(
      `the package koffi, which calls it, cannot be loaded (${
        firstLine(error)
      }): install the packages of ds again, or use ` +
        "--backend webgpu or cpu",
    );
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
}
