import { ARGMAX } from "./kernels/ops.ts";
import type { Queue } from "./queue.ts";
import type { CpuTensor } from "./tensor.ts";

/** token [R] ← place of the largest logit of each row of logits [R, V]; ties: the lowest. */
export function argmax(queue: Queue, token: CpuTensor, logits: CpuTensor): void {
  const { arena } = logits;
  const [R, V] = logits.shape;
  const from = queue.read(logits, arena);
  const to = queue.write(token, arena);
  queue.begin(ARGMAX, arena, R === 1);
  queue.int(to);
  queue.int(from);
  queue.int(R);
  queue.int(V);
}
