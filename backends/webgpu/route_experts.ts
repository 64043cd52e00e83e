import { type Queue, spread } from "./queue.ts";
import type { WebGpuTensor } from "./tensor.ts";

/** experts [R, E'] ← the largest of logits [R, E], largest first, ties: the lowest index; mix [R, E'] ← their shares. */
export function routeExperts(
  queue: Queue,
  experts: WebGpuTensor,
  mix: WebGpuTensor,
  logits: WebGpuTensor,
  renormalise: boolean,
): void {
  const [R, E] = logits.shape as [number, number];
  const choices = experts.shape[1]!;
  const buffers = [experts.buffer, mix.buffer, logits.buffer];
  queue.run(queue.kernel("route_experts"), [R, E, choices, renormalise ? 1 : 0], buffers, spread(R));
}
