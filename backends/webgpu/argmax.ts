import { type Queue, spread } from "./queue.ts";
import type { WebGpuTensor } from "./tensor.ts";

/** token [R] ← place of the largest logit of each row of logits [R, V]; ties: the lowest. */
export function argmax(queue: Queue, token: WebGpuTensor, logits: WebGpuTensor): void {
  const [R, V] = logits.shape as [number, number];
  queue.run(queue.kernel("argmax"), [R, V], [token.buffer, logits.buffer], spread(R));
}
