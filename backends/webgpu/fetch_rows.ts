import type { LayerCache, Selection } from "../../core/backend.ts";
import { type Queue, spread } from "./queue.ts";
import { gpu, type WebGpuTensor } from "./tensor.ts";

/** As in fetch_rows.wgsl. */
const THREADS = 256;

/** staging [T, Hk, K, 2, d] ← the selected rows of the cache; the row itself is left out, `attendSelected` has it. */
export function fetchRows(
  queue: Queue,
  staging: WebGpuTensor,
  cache: LayerCache,
  { indices, counts }: Selection,
): void {
  const kv = gpu(cache.kv);
  const [T, Hk, K] = staging.shape as [number, number, number];
  const S = kv.shape[2]!;
  const fours = (2 * kv.layout.rowWords) / 4;
  const count = T * Hk * K * fours;
  const lists = [queue.rows.buffer, gpu(indices).buffer, gpu(counts).buffer];
  for (const { buffer, first, entries } of kv.chunks) {
    const parameters = [Hk, S, K, fours, count, first, entries];
    const buffers = [staging.buffer, buffer, ...lists];
    queue.run(queue.kernel("fetch_rows"), parameters, buffers, spread(Math.ceil(count / THREADS)));
  }
}
