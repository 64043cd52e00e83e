import process from "node:process";
import { useSwiftShader } from "./swiftshader.ts";

/** Whether tests of backend "webgpu" run on the machine's own GPU. */
export const isOwnGpu = process.env.DS_TEST_GPU === "1";

/**
 * Makes ready the GPU that tests of backend "webgpu" run on: one in software, so that they run anywhere, or with DS_TEST_GPU=1 the
 * machine's own. Every test asks here: a driver in software, once set up, is what all later tests of a process would find.
 *
 * @returns why there is none, or null
 */
export function useTestGpu(): string | null {
  return isOwnGpu ? null : useSwiftShader();
}
