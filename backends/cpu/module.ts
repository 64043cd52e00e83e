import { readFileSync } from "node:fs";
import { DsError } from "../../core/errors.ts";

const provided = new Map<string, Uint8Array<ArrayBuffer>>();

/** Hands over a kernel file (`kernels.wasm`, `kernels_relaxed.wasm`) where it does not lie beside the code. */
export function provideKernels(name: string, bytes: Uint8Array<ArrayBuffer>): void {
  provided.set(name, bytes);
}

/** The compiled kernels. */
export interface Kernels {
  readonly module: WebAssembly.Module;
  /** Whether they hold the kernels that use relaxed SIMD. */
  readonly isRelaxed: boolean;
}

/**
 * The kernels with relaxed SIMD where the engine knows it, else those without.
 *
 * @param relaxed false: without in any case
 * @throws {DsError} kind "backend-unavailable" where the engine knows neither
 */
export function compileKernels(relaxed = true): Kernels {
  if (relaxed) {
    const bytes = kernelBytes("kernels_relaxed.wasm");
    if (WebAssembly.validate(bytes)) return { module: new WebAssembly.Module(bytes), isRelaxed: true };
  }
  const bytes = kernelBytes("kernels.wasm");
  if (WebAssembly.validate(bytes)) return { module: new WebAssembly.Module(bytes), isRelaxed: false };
  throw new DsError(
    "backend-unavailable",
    'Cannot open backend "cpu" as this runtime\'s WebAssembly knows no SIMD or no threads: use Deno 2.9, Bun 1.4 or Node 24, or --backend reference',
  );
}

function kernelBytes(name: string): Uint8Array<ArrayBuffer> {
  const known = provided.get(name);
  if (known !== undefined) return known;
  try {
    return new Uint8Array(readFileSync(new URL(`./${name}`, import.meta.url)));
  } catch (error) {
    throw new DsError(
      "backend-unavailable",
      `Cannot open backend "cpu" as its kernels, backends/cpu/${name}, cannot be read: this copy of ds is incomplete, install it again`,
      { cause: error },
    );
  }
}
