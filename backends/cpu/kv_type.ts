import type { CpuTensor } from "./tensor.ts";

const TYPES: readonly string[] = ["f32", "f16", "bf16"];

/** The type of a cache as commands name it: 0 f32, 1 f16, 2 bf16. */
export function kvType(kv: CpuTensor): number {
  return TYPES.indexOf(kv.dtype);
}
