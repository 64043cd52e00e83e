import { EMBED } from "./kernels/ops.ts";
import type { Queue } from "./queue.ts";
import type { CpuTensor } from "./tensor.ts";
import { weightNumber } from "./weight_numbers.ts";

/** out [T, D] ← row tokens[t] of table [V, D], of any weight dtype. */
export function embed(queue: Queue, out: CpuTensor, table: CpuTensor): void {
  const { arena } = table;
  const [, D] = table.shape;
  const from = queue.read(table, arena);
  const to = queue.write(out, arena);
  const { tokens } = queue.rowsIn(arena);
  queue.begin(EMBED, arena);
  queue.int(to);
  queue.int(from);
  queue.int(tokens);
  queue.int(queue.rows.tokens.length);
  queue.int(D);
  queue.int(weightNumber(table.dtype));
}
