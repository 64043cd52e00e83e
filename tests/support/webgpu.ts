import process from "node:process";
import { useSwiftShader } from "./swiftshader.ts";

/**
 * Makes ready the GPU that tests of backend "webgpu" run on: one in software, so that they run anywhere, or with DS_TEST_GPU=1 the
 * machine's own.
 *
 * @returns why there is none, or null
 */
export function useTestGpu(): string | null {
  return process.env.DS_TEST_GPU === "1" ? null : useSwiftShader();
}
