import { ROUTE_EXPERTS } from "./kernels/ops.ts";
import type { Queue } from "./queue.ts";
import type { CpuTensor } from "./tensor.ts";

/** experts [R, E'] ← the largest of logits [R, E], largest first, ties: the lowest index; mix [R, E'] ← their shares. */
export function routeExperts(
  queue: Queue,
  experts: CpuTensor,
  mix: CpuTensor,
  logits: CpuTensor,
  renormalise: boolean,
): void {
  const { arena } = logits;
  const [R, E] = logits.shape;
  const from = queue.read(logits, arena);
  const places = queue.write(experts, arena);
  const shares = queue.write(mix, arena);
  queue.begin(ROUTE_EXPERTS, arena, R === 1);
  queue.int(places);
  queue.int(shares);
  queue.int(from);
  queue.int(R);
  queue.int(E);
  queue.int(experts.shape[1]);
  queue.int(renormalise ? 1 : 0);
}
