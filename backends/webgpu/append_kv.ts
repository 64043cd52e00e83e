import type { LabelCache, LayerCache, StepRows } from "../../core/backend.ts";
import { VALUE_SUM_TOKENS } from "../../core/kv_cache.ts";
import { type Queue, spread } from "./queue.ts";
import { gpu, type WebGpuTensor } from "./tensor.ts";

/** Writes K and V of qkv [T, Hq + 2·Hk, d], and the label of K, at homes[t]. */
export function appendKv(queue: Queue, { kv: cacheKv, labels }: LayerCache, qkv: WebGpuTensor): void {
  const kv = gpu(cacheKv);
  const [T, heads, d] = qkv.shape as [number, number, number];
  const [, Hk, S] = kv.shape as [number, number, number];
  const { layout } = labels ?? {};
  const kernel = queue.kernel(
    "append_kv",
    layout === undefined ? {} : { WIDE: layout.wide, NARROW: layout.narrow },
    { ...kvWordOf(kv), ...(layout === undefined && { append_label: "append_no_label" }) },
  );
  const labelBuffers = labels === null
    ? []
    : [labels.words, labels.channels, labels.zero, labels.inverseStep].map((tensor) => gpu(tensor).buffer);
  for (const { buffer, first, entries } of kv.chunks) {
    const parameters = [T, heads - 2 * Hk, Hk, d, S, first, entries];
    const buffers = [buffer, qkv.buffer, queue.rows.buffer, ...labelBuffers];
    queue.run(kernel, parameters, buffers, spread(T * Hk));
  }
  if (labels !== null && completesBlock(queue.rows.host)) sumValues(queue, labels, kv, T);
}

function completesBlock({ positions, homes }: StepRows): boolean {
  return positions.some((position, t) => homes[t] === position && (position + 1) % VALUE_SUM_TOKENS === 0);
}

/** Entry j of valueSums for every row at position 64·j - 1. */
function sumValues(queue: Queue, labels: LabelCache, kv: WebGpuTensor, T: number): void {
  const sums = gpu(labels.valueSums);
  const [, Hk, S, , d] = kv.shape as [number, number, number, number, number];
  const entries = sums.shape[2]!;
  const kernel = queue.kernel("sum_values", {}, kvWordOf(kv));
  for (const { buffer, first, entries: held } of kv.chunks) {
    const parameters = [T, Hk, d, S, entries, first, held];
    queue.run(kernel, parameters, [sums.buffer, buffer, queue.rows.buffer], spread(T * Hk));
  }
}

/** What a word of the cache holds. */
function kvWordOf({ dtype }: WebGpuTensor): Record<string, string> {
  return dtype === "f32" ? {} : { kv_word: `kv_word_${dtype}` };
}
