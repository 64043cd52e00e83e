import { type Queue, spread } from "./queue.ts";
import type { WebGpuTensor } from "./tensor.ts";
import { weightVariants } from "./weight_variants.ts";

/** out [T, D] ← row tokens[t] of table [V, D]. */
export function embed(queue: Queue, out: WebGpuTensor, table: WebGpuTensor): void {
  const [T, D] = out.shape as [number, number];
  const kernel = queue.kernel("embed", {}, weightVariants(table));
  const grid = spread(Math.ceil((T * Math.ceil(D / 8)) / 64));
  for (const { buffer, first, entries } of table.chunks) {
    queue.run(kernel, [T, D, first, entries], [out.buffer, buffer, queue.rows.buffer], grid);
  }
}
