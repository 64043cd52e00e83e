import type { DType } from "../../core/dtype.ts";
import { BF16, F16, F32, Q4_0, Q4_1, Q4_K, Q6_K, Q8_0 } from "./kernels/ops.ts";

const NUMBERS: Partial<Record<DType, number>> = {
  f32: F32,
  f16: F16,
  bf16: BF16,
  q4_0: Q4_0,
  q4_1: Q4_1,
  q8_0: Q8_0,
  q4_k: Q4_K,
  q6_k: Q6_K,
};

/** What kernels call a weight type. */
export function weightNumber(dtype: DType): number {
  const number = NUMBERS[dtype];
  if (number === undefined) throw new Error(`no weights are of type ${dtype}`);
  return number;
}
