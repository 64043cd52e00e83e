import type { AttendSelectedOptions, LayerCache, Selection } from "../../core/backend.ts";
import { kvVariants, mergeParts, type Parts } from "./attend_parts.ts";
import { attendRows } from "./attend_rows.ts";
import type { DeviceBuffer } from "./buffers.ts";
import { type Queue, spread } from "./queue.ts";
import { gpu, type WebGpuTensor } from "./tensor.ts";

/** Exact attention over the selected tokens, and the virtual token for the others: out [T, Hq, d]. */
export function attendSelected(
  queue: Queue,
  out: WebGpuTensor,
  qkv: WebGpuTensor,
  cache: LayerCache,
  selection: Selection,
  { scale, tail, staging }: AttendSelectedOptions,
): void {
  const kv = gpu(cache.kv);
  const [, H, K] = selection.indices.shape as [number, number, number];
  const selected = {
    selection,
    staging: staging === undefined ? null : gpu(staging),
    tail: tail ?? null,
  };
  const parts = attendRows(queue, out, qkv, kv, { H, scale, window: 0, mostTokens: K, selected });
  if (parts === null) return;
  if (tail === undefined) {
    mergeParts(queue, out, parts, null);
  } else {
    const valueSums = gpu(cache.labels!.valueSums);
    const others = meanOfOthers(queue, out, kv, valueSums, parts);
    mergeParts(queue, out, parts, { others, scores: tail.scores, selection });
  }
}

/** [T, H] of how many tokens a set leaves out and their mean V, as `attend_others.wgsl` lays it out. */
function meanOfOthers(
  queue: Queue,
  out: WebGpuTensor,
  kv: WebGpuTensor,
  valueSums: WebGpuTensor,
  { buffer: parts, H, shares }: Parts,
): DeviceBuffer {
  const [T, Hq, d] = out.shape as [number, number, number];
  const [, Hk, S] = kv.shape as [number, number, number];
  const others = queue.scratch("mean values of others", T * H * (d + 4) * 4);
  const kernel = queue.kernel("attend_others", { D: d }, kvVariants(kv));
  for (const { buffer, first, entries } of kv.chunks) {
    const parameters = [T, Hq, Hk, H, S, valueSums.shape[2]!, shares, first, entries];
    const buffers = [others, parts, queue.rows.buffer, buffer, valueSums.buffer];
    queue.run(kernel, parameters, buffers, spread(T * H));
  }
  return others;
}
