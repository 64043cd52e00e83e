import { type Queue, spread } from "./queue.ts";
import type { WebGpuTensor } from "./tensor.ts";

/** out [R, F] ← silu(gateUp[r, f]) · gateUp[r, F + f]. */
export function swiglu(queue: Queue, out: WebGpuTensor, gateUp: WebGpuTensor): void {
  const F = out.shape[out.shape.length - 1]!;
  const rows = out.byteLength / (4 * F);
  const grid = spread(Math.ceil((rows * F) / 256));
  queue.run(queue.kernel("swiglu"), [rows, F], [out.buffer, gateUp.buffer], grid);
}
