import { type Queue, spread } from "./queue.ts";
import { product, type WebGpuTensor } from "./tensor.ts";

/** x ← x + y, same shape. */
export function add(queue: Queue, x: WebGpuTensor, y: WebGpuTensor): void {
  const count = product(x.shape);
  const grid = spread(Math.ceil(count / 256));
  if (x === y) queue.run(queue.kernel("add_self"), [count], [x.buffer], grid);
  else queue.run(queue.kernel("add"), [count], [x.buffer, y.buffer], grid);
}
