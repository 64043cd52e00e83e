import { SWIGLU } from "./kernels/ops.ts";
import { ALONE_VALUES, type Queue } from "./queue.ts";
import type { CpuTensor } from "./tensor.ts";

/** out [R, F] ← silu(gateUp[r, f]) · gateUp[r, F + f]. */
export function swiglu(queue: Queue, out: CpuTensor, gateUp: CpuTensor): void {
  const { arena } = gateUp;
  const [R, F] = out.shape;
  const from = queue.read(gateUp, arena);
  const to = queue.write(out, arena);
  queue.begin(SWIGLU, arena, R * F <= ALONE_VALUES);
  queue.int(to);
  queue.int(from);
  queue.int(R);
  queue.int(F);
}
