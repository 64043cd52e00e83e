import type { AttendOptions, LayerCache, StepRows } from "../../core/backend.ts";
import { attendChunk } from "./attend_chunk.ts";
import { mergeParts } from "./attend_parts.ts";
import { attendRows } from "./attend_rows.ts";
import type { Queue } from "./queue.ts";
import { gpu, type WebGpuTensor } from "./tensor.ts";

/** Rows from which a run of one slot's positions is worth the kernel of chunks. */
const LEAST_CHUNK_ROWS = 8;

/** Dense causal attention: out [T, Hq, d]. */
export function attend(
  queue: Queue,
  out: WebGpuTensor,
  qkv: WebGpuTensor,
  cache: LayerCache,
  { scale, window = 0 }: AttendOptions,
): void {
  const kv = gpu(cache.kv);
  if (isChunk(queue.rows.host)) {
    attendChunk(queue, out, qkv, kv, scale, window);
  } else {
    const longest = queue.rows.host.positions.reduce((most, position) => Math.max(most, position + 1), 0);
    const mostTokens = window > 0 ? Math.min(longest, window) : longest;
    const options = { H: kv.shape[1]!, scale, window, mostTokens, selected: null };
    const parts = attendRows(queue, out, qkv, kv, options);
    if (parts !== null) mergeParts(queue, out, parts, null);
  }
}

/** Whether the rows are those of a prefill chunk: consecutive positions of one slot, none private. */
function isChunk({ slots, positions, homes }: StepRows): boolean {
  return slots.length >= LEAST_CHUNK_ROWS &&
    slots.every((slot, t) =>
      slot === slots[0] && positions[t] === positions[0]! + t && homes[t] === positions[t]
    );
}
