import type { HeadCounts, RopeOptions } from "../../core/backend.ts";
import { floatBits, type Queue, spread } from "./queue.ts";
import { gpu, type WebGpuTensor } from "./tensor.ts";

/** Norms, if any, and rotates the q and k heads of qkv [T, Hq + 2·Hk, d] in place; table [positions, 2, d/2]. */
export function rope(
  queue: Queue,
  qkv: WebGpuTensor,
  table: WebGpuTensor,
  { numHeads, numKvHeads }: HeadCounts,
  { queryNorm, keyNorm, epsilon = 0 }: RopeOptions,
): void {
  const [T, heads, d] = qkv.shape as [number, number, number];
  const rotated = numHeads + numKvHeads;
  const parameters = [rotated, heads, numHeads, d, T, floatBits(epsilon)];
  const buffers = [qkv.buffer, table.buffer, queue.rows.buffer];
  const norm = queryNorm ?? keyNorm;
  if (norm === undefined) {
    queue.run(queue.kernel("rope"), parameters, buffers, spread(T * rotated));
    return;
  }
  const constants = { QUERY_NORM: queryNorm !== undefined, KEY_NORM: keyNorm !== undefined };
  const kernel = queue.kernel("rope", constants, { rope_norm: "rope_norm_heads" });
  // The norm that is absent is bound to the other, and not read.
  const norms = [gpu(queryNorm ?? norm).buffer, gpu(keyNorm ?? norm).buffer];
  queue.run(kernel, parameters, [...buffers, ...norms], spread(T * rotated));
}
