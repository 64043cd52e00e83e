import type { AttendSelectedOptions, LayerCache, Selection } from "../../core/backend.ts";
import {
  ATTEND_ROOM,
  ATTEND_SELECTED,
  MERGE_RUNS,
  ROWS_BF16,
  ROWS_F16,
  ROWS_F32,
  SELECTED_RUN,
} from "./kernels/ops.ts";
import { ALONE_VALUES, type Queue } from "./queue.ts";
import { cpu, type CpuTensor } from "./tensor.ts";

/** Rows are taken in batches whose runs fit these bytes, or one at a time. */
const BATCH_BYTES = 2 ** 25;

/** Exact attention over the selected tokens, and the virtual token for the others: out [T, Hq, d]. */
export function attendSelected(
  queue: Queue,
  out: CpuTensor,
  qkv: CpuTensor,
  cache: LayerCache,
  selection: Selection,
  options: AttendSelectedOptions,
): void {
  const { tail, staging, scale } = options;
  const { labels } = cache;
  const kv = cpu(cache.kv);
  const { arena } = kv;
  const [T, heads, d] = qkv.shape;
  const [, Hk, S] = kv.shape;
  const Hq = heads - 2 * Hk;
  const [, H, K] = selection.indices.shape;
  const g = Hq / H;
  const perSet = Math.ceil(K / SELECTED_RUN);
  const pitch = Math.ceil(d / 8) * 32;
  const setBytes = (perSet + 1) * (g * 16 + (g + 1) * pitch);
  const batch = Math.max(1, Math.min(T, Math.floor(BATCH_BYTES / (H * setBytes))));
  const dtype = kv.dtype === "f16" ? ROWS_F16 : kv.dtype === "bf16" ? ROWS_BF16 : ROWS_F32;
  const read = (tensor: CpuTensor | null) => tensor === null ? 0 : queue.read(tensor, arena);
  const scores = tail === undefined || labels === null ? null : tail.scores;
  const sinks = Math.min(tail?.forced.sinkTokens ?? 0, S);
  const recents = Math.min(tail?.forced.recentTokens ?? 0, S);

  const query = queue.read(qkv, arena);
  const cached = queue.read(kv, arena);
  const indices = read(cpu(selection.indices));
  const counts = read(cpu(selection.counts));
  const tailMass = scores === null ? 0 : read(cpu(selection.tailMass));
  const known = scores === null ? 0 : read(cpu(scores.scores));
  const exponents = scores === null ? 0 : read(cpu(scores.exponents));
  const maxima = scores === null ? 0 : read(cpu(scores.maxima));
  const valueSums = scores === null || labels === null ? 0 : read(cpu(labels.valueSums));
  const entries = labels === null ? 0 : labels.valueSums.shape[2];
  const staged = read(staging === undefined ? null : cpu(staging));
  const to = queue.write(out, arena);
  const { slots, positions, homes } = queue.rowsIn(arena);
  const runsBytes = batch * H * setBytes;
  const runs = queue.scratch(arena, runsBytes + queue.threads * (ATTEND_ROOM + g * pitch));

  for (let first = 0; first < T; first += batch) {
    const rows = Math.min(batch, T - first);
    queue.begin(ATTEND_SELECTED, arena);
    for (const value of [runs, runs + runsBytes, query, cached, indices, counts]) queue.int(value);
    for (const value of [slots, positions, homes, known, staged, first, rows]) queue.int(value);
    for (const value of [Hq, Hk, H, d, S, K, perSet]) queue.int(value);
    queue.float(scale);
    for (const value of [sinks, recents, dtype]) queue.int(value);

    queue.begin(MERGE_RUNS, arena, rows * Hq * d * perSet <= ALONE_VALUES);
    for (const value of [to, runs, valueSums, indices, counts, tailMass]) queue.int(value);
    for (const value of [exponents, maxima, slots, positions, first, rows]) queue.int(value);
    for (const value of [Hq, Hk, H, d, K, perSet, entries, sinks, recents, dtype]) queue.int(value);
  }
}
