import { isBlockDType } from "../../core/dtype.ts";
import { MIX_EXPERTS } from "./kernels/ops.ts";
import { linearExpertBlocks, vectorRoom } from "./linear_blocks.ts";
import { laidOutBytes, linearExpertFloats } from "./linear_floats.ts";
import { linearExpertWide } from "./linear_wide.ts";
import type { Queue } from "./queue.ts";
import type { CpuTensor } from "./tensor.ts";
import type { Variants } from "./variants.ts";

/**
 * With mix null: out [R, E', N] ← weight[experts[r, j]]·x[r]; else out [R, N] ← Σ_j mix[r, j]·weight[experts[r, j]]·x[r, j].
 * x [R, I] or [R, E', I]; weight [E, N, I].
 */
export function linearExperts(
  queue: Queue,
  variants: Variants,
  out: CpuTensor,
  x: CpuTensor,
  weight: CpuTensor,
  experts: CpuTensor,
  mix: CpuTensor | null,
): void {
  const { arena } = weight;
  const { dtype } = weight;
  const [R, chosen] = experts.shape;
  const [, N, I] = weight.shape;
  const pairs = R * chosen;
  const perRow = x.shape.length === 3 ? 1 : chosen;
  const xBytes = isBlockDType(dtype) ? vectorRoom(queue, pairs / perRow, I) : laidOutBytes(pairs / perRow, I);
  const room = queue.scratch(arena, xBytes + (mix === null ? 0 : pairs * N * 4));
  const from = queue.read(x, arena);
  const choice = queue.read(experts, arena);
  const weights = queue.read(weight, arena);
  const shares = mix === null ? 0 : queue.read(mix, arena);
  const to = queue.write(out, arena);
  const partial = mix === null ? to : room + xBytes;
  const products = { out: partial, x: from, experts: choice, pairs, perRow, room };
  if (dtype === "q4_k" || dtype === "q6_k") {
    linearExpertWide(queue, variants.wide, arena, weight, weights, products);
  } else if (isBlockDType(dtype)) {
    linearExpertBlocks(queue, variants.blocks, arena, weight, weights, products);
  } else {
    linearExpertFloats(queue, arena, weight, weights, products);
  }
  if (mix === null) return;
  queue.begin(MIX_EXPERTS, arena);
  queue.int(to);
  queue.int(partial);
  queue.int(shares);
  queue.int(R);
  queue.int(chosen);
  queue.int(N);
}
