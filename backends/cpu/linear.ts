import { isBlockDType } from "../../core/dtype.ts";
import { linearBlocks } from "./linear_blocks.ts";
import { linearFloats } from "./linear_floats.ts";
import { linearWide } from "./linear_wide.ts";
import type { Queue } from "./queue.ts";
import type { CpuTensor } from "./tensor.ts";
import type { Variants } from "./variants.ts";

/** out[r, column + n] ← Σ_i x[r, i]·weight[n, i] (+ bias[n]); x [R, I], weight [N, I]. */
export function linear(
  queue: Queue,
  variants: Variants,
  out: CpuTensor,
  x: CpuTensor,
  weight: CpuTensor,
  bias: CpuTensor | null,
  column: number,
): void {
  const { dtype } = weight;
  if (dtype === "q4_k" || dtype === "q6_k") linearWide(queue, variants.wide, out, x, weight, bias, column);
  else if (isBlockDType(dtype)) linearBlocks(queue, variants.blocks, out, x, weight, bias, column);
  else linearFloats(queue, out, x, weight, bias, column);
}
