import type { LayerCache } from "../../core/backend.ts";
import { VALUE_SUM_TOKENS } from "../../core/kv_cache.ts";
import { APPEND_KV, SUM_VALUES } from "./kernels/ops.ts";
import { kvType } from "./kv_type.ts";
import type { Queue } from "./queue.ts";
import { cpu, type CpuTensor } from "./tensor.ts";

/** Writes K and V of qkv [T, Hq + 2·Hk, d], and the label of K, at homes[t]. */
export function appendKv(queue: Queue, cache: LayerCache, qkv: CpuTensor): void {
  const kv = cpu(cache.kv);
  const { arena } = kv;
  const { labels } = cache;
  const [T, heads, d] = qkv.shape;
  const [, Hk, S] = kv.shape;
  const to = queue.write(kv, arena);
  const from = queue.read(qkv, arena);
  const words = labels === null ? 0 : queue.write(cpu(labels.words), arena);
  const channels = labels === null ? 0 : queue.read(cpu(labels.channels), arena);
  const zero = labels === null ? 0 : queue.read(cpu(labels.zero), arena);
  const inverseStep = labels === null ? 0 : queue.read(cpu(labels.inverseStep), arena);
  const sums = labels === null ? 0 : queue.write(cpu(labels.valueSums), arena);
  const { slots, homes } = queue.rowsIn(arena);
  queue.begin(APPEND_KV, arena, T === 1);
  queue.int(to);
  queue.int(from);
  queue.int(slots);
  queue.int(homes);
  queue.int(T);
  queue.int(heads);
  queue.int(Hk);
  queue.int(S);
  queue.int(d);
  queue.int(kvType(kv));
  queue.int(words);
  queue.int(labels === null ? 0 : labels.words.shape[3]);
  queue.int(channels);
  queue.int(zero);
  queue.int(inverseStep);
  queue.int(labels === null ? 0 : labels.layout.wide);
  queue.int(labels === null ? 0 : labels.layout.narrow);
  if (labels === null) return;

  const entries = labels.valueSums.shape[2];
  for (const t of completing(queue)) {
    const entry = (queue.rows.positions[t] + 1) / VALUE_SUM_TOKENS;
    if (entry >= entries) continue;
    queue.begin(SUM_VALUES, arena);
    queue.int(to);
    queue.int(sums);
    queue.int(queue.rows.slots[t] * Hk);
    queue.int(Hk);
    queue.int(S);
    queue.int(d);
    queue.int(kvType(kv));
    queue.int(entries);
    queue.int(entry);
  }
}

const NONE: readonly number[] = [];

/** Rows that complete an entry of the sums of V; ascending by position, as each entry builds on the one before. */
function completing({ rows: { positions, homes } }: Queue): readonly number[] {
  let found: number[] | null = null;
  for (let t = 0; t < positions.length; t++) {
    if (homes[t] === positions[t] && (positions[t] + 1) % VALUE_SUM_TOKENS === 0) (found ??= []).push(t);
  }
  return found === null ? NONE : found.sort((a, b) => positions[a] - positions[b]);
}
