import type { LayerCache, Selection } from "../../core/backend.ts";
import { FETCH_ROWS } from "./kernels/ops.ts";
import type { Queue } from "./queue.ts";
import { cpu, type CpuTensor } from "./tensor.ts";

/** staging [T, Hk, K, 2, d] ← the selected rows of the cache; the row itself is left out, `attendSelected` has it. */
export function fetchRows(queue: Queue, staging: CpuTensor, cache: LayerCache, selection: Selection): void {
  const kv = cpu(cache.kv);
  const { arena } = kv;
  const [T, Hk, K, , d] = staging.shape;
  const from = queue.read(kv, arena);
  const to = queue.write(staging, arena);
  const indices = queue.read(cpu(selection.indices), arena);
  const counts = queue.read(cpu(selection.counts), arena);
  const { positions, slots } = queue.rowsIn(arena);
  queue.begin(FETCH_ROWS, arena);
  queue.int(to);
  queue.int(from);
  queue.int(indices);
  queue.int(counts);
  queue.int(positions);
  queue.int(slots);
  queue.int(T);
  queue.int(Hk);
  queue.int(kv.shape[2]);
  queue.int(K);
  queue.int(2 * d * (kv.dtype === "f32" ? 4 : 2));
}
