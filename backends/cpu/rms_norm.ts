import { RMS_NORM } from "./kernels/ops.ts";
import { ALONE_VALUES, type Queue } from "./queue.ts";
import { type CpuTensor, product } from "./tensor.ts";

/** out ← x / √(mean x² + epsilon) · weight over the last axis. */
export function rmsNorm(
  queue: Queue,
  out: CpuTensor,
  x: CpuTensor,
  weight: CpuTensor,
  epsilon: number,
): void {
  const { arena } = x;
  const [D] = weight.shape;
  const from = queue.read(x, arena);
  const scale = queue.read(weight, arena);
  const to = queue.write(out, arena);
  queue.begin(RMS_NORM, arena, product(x.shape) <= ALONE_VALUES);
  queue.int(to);
  queue.int(from);
  queue.int(scale);
  queue.int(product(x.shape) / D);
  queue.int(D);
  queue.float(epsilon);
}
