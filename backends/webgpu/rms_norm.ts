import { floatBits, type Queue, spread } from "./queue.ts";
import { product, type WebGpuTensor } from "./tensor.ts";

/** out ← x / √(mean x² + epsilon) · weight over the last axis. */
export function rmsNorm(
  queue: Queue,
  out: WebGpuTensor,
  x: WebGpuTensor,
  weight: WebGpuTensor,
  epsilon: number,
): void {
  const D = weight.shape[0]!;
  const rows = product(x.shape) / D;
  const parameters = [rows, D, floatBits(epsilon)];
  if (out === x) {
    const kernel = queue.kernel("rms_norm", {}, { rms_norm_source: "rms_norm_in_place" });
    queue.run(kernel, parameters, [out.buffer, weight.buffer], spread(rows));
  } else {
    queue.run(queue.kernel("rms_norm"), parameters, [out.buffer, weight.buffer, x.buffer], spread(rows));
  }
}
