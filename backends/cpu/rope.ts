import type { HeadCounts, RopeOptions } from "../../core/backend.ts";
import { ROPE } from "./kernels/ops.ts";
import type { Queue } from "./queue.ts";
import { cpu, type CpuTensor } from "./tensor.ts";

/** Norms, if any, and rotates the q and k heads of qkv [T, Hq + 2·Hk, d] in place; table [positions, 2, d/2]. */
export function rope(
  queue: Queue,
  qkv: CpuTensor,
  table: CpuTensor,
  { numHeads, numKvHeads }: HeadCounts,
  { queryNorm, keyNorm, epsilon = 0 }: RopeOptions,
): void {
  const { arena } = qkv;
  const [T, , d] = qkv.shape;
  const x = queue.write(qkv, arena);
  const angles = queue.read(table, arena);
  const queryScale = queryNorm === undefined ? 0 : queue.read(cpu(queryNorm), arena);
  const keyScale = keyNorm === undefined ? 0 : queue.read(cpu(keyNorm), arena);
  const { positions } = queue.rowsIn(arena);
  queue.begin(ROPE, arena, T === 1);
  queue.int(x);
  queue.int(angles);
  queue.int(positions);
  queue.int(T);
  queue.int(numHeads);
  queue.int(numKvHeads);
  queue.int(d);
  queue.int(queryScale);
  queue.int(keyScale);
  queue.float(epsilon);
}
