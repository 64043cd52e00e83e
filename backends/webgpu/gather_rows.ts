import { type Queue, spread } from "./queue.ts";
import { product, type WebGpuTensor } from "./tensor.ts";

/** out [R, D] ← row indices[r] of x [X, D]. */
export function gatherRows(queue: Queue, out: WebGpuTensor, x: WebGpuTensor, indices: WebGpuTensor): void {
  const R = indices.shape[0]!;
  const floats = product(x.shape.slice(1));
  const isFours = floats % 4 === 0;
  const kernel = queue.kernel("gather_rows", {}, isFours ? { value: "value_four" } : {});
  const columns = isFours ? floats / 4 : floats;
  const perEntry = x.shape.length > 2 ? x.shape[1]! : 1;
  const grid = spread(Math.ceil((R * columns) / 256));
  for (const { buffer, first, entries } of x.chunks) {
    const parameters = [R, columns, first / perEntry, entries / perEntry];
    queue.run(kernel, parameters, [out.buffer, buffer, indices.buffer], grid);
  }
}
