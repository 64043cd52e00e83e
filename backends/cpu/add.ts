import { ADD } from "./kernels/ops.ts";
import { ALONE_VALUES, type Queue } from "./queue.ts";
import { type CpuTensor, product } from "./tensor.ts";

/** x ← x + y. */
export function add(queue: Queue, x: CpuTensor, y: CpuTensor): void {
  const { arena } = x;
  const to = queue.write(x, arena);
  const from = queue.read(y, arena);
  queue.begin(ADD, arena, product(x.shape) <= ALONE_VALUES);
  queue.int(to);
  queue.int(from);
  queue.int(product(x.shape));
}
