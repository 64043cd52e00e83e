import { GATHER_ROWS } from "./kernels/ops.ts";
import type { Queue } from "./queue.ts";
import type { CpuTensor } from "./tensor.ts";

/** out [R, D] ← row indices[r] of x [X, D]. */
export function gatherRows(queue: Queue, out: CpuTensor, x: CpuTensor, indices: CpuTensor): void {
  const { arena } = x;
  const [R, D] = out.shape;
  const from = queue.read(x, arena);
  const places = queue.read(indices, arena);
  const to = queue.write(out, arena);
  queue.begin(GATHER_ROWS, arena, R === 1);
  queue.int(to);
  queue.int(from);
  queue.int(places);
  queue.int(R);
  queue.int(D);
}
