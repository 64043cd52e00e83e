import type { AttendOptions, LayerCache } from "../../core/backend.ts";
import type { Arena } from "./arena.ts";
import { type RowRange, rowRanges } from "./attend_ranges.ts";
import { partialBytes, rowRoomBytes, runRoomBytes, type Shape, tileRows } from "./attend_rooms.ts";
import {
  ATTEND_ROWS,
  ATTEND_RUN,
  KV_BF16,
  KV_F16,
  KV_F32,
  MERGE_SPLITS,
  SPLIT_TOKENS,
} from "./kernels/ops.ts";
import type { Queue, RowAddresses } from "./queue.ts";
import { cpu, type CpuTensor } from "./tensor.ts";

/** What the rows by themselves may leave in memory at once; more of them go one lot after the other. */
const PARTIALS_BYTES = 2 ** 24;

interface Addresses {
  readonly out: number;
  readonly qkv: number;
  readonly kv: number;
  readonly scratch: number;
  readonly rows: RowAddresses;
}

/** Dense causal attention: out [T, Hq, d]. Rows that follow each other in a slot share passes over its tokens. */
export function attend(
  queue: Queue,
  out: CpuTensor,
  qkv: CpuTensor,
  cache: LayerCache,
  { scale, window = 0 }: AttendOptions,
): void {
  const kv = cpu(cache.kv);
  const { arena } = kv;
  const [, heads, d] = qkv.shape;
  const [, Hk, S] = kv.shape;
  const Hq = heads - 2 * Hk;
  // The kernels' weights are powers of two.
  const shape: Shape = {
    Hq,
    Hk,
    d,
    S,
    window,
    scale: scale * Math.LOG2E,
    kvType: kvType(kv),
    threads: queue.threads,
  };
  const { positions } = queue.rows;
  const splitsOf = ({ first, count }: RowRange) => {
    let most = 0;
    for (let t = first; t < first + count; t++) {
      most = Math.max(most, Math.floor(positions[t] / SPLIT_TOKENS) + 1);
    }
    return most;
  };
  const bytesOfRow = (range: RowRange) => splitsOf(range) * Hk * partialBytes(shape);
  const ranges = rowRanges(queue.rows).flatMap((range) =>
    range.isRun ? [range] : inLots(range, Math.max(1, Math.floor(PARTIALS_BYTES / bytesOfRow(range))))
  );
  const bytes = ranges.reduce((most, range) => {
    const needed = range.isRun
      ? queue.threads * runRoomBytes(shape, tileRows(shape, range.count))
      : range.count * bytesOfRow(range) + queue.threads * rowRoomBytes(shape);
    return Math.max(most, needed);
  }, 0);
  const addresses: Addresses = {
    kv: queue.read(kv, arena),
    qkv: queue.read(qkv, arena),
    out: queue.write(out, arena),
    scratch: queue.scratch(arena, bytes),
    rows: queue.rowsIn(arena),
  };
  for (const range of ranges) {
    if (range.isRun) attendRun(queue, arena, addresses, shape, range);
    else attendRows(queue, arena, addresses, shape, range, splitsOf(range));
  }
}

function attendRun(
  queue: Queue,
  arena: Arena,
  { out, qkv, kv, scratch }: Addresses,
  shape: Shape,
  { first, count }: RowRange,
): void {
  const rows = tileRows(shape, count);
  queue.begin(ATTEND_RUN, arena);
  queue.int(out);
  queue.int(qkv);
  queue.int(kv);
  queue.int(first);
  queue.int(count);
  queue.int(queue.rows.positions[first]);
  queue.int(queue.rows.slots[first]);
  queue.int(shape.Hq);
  queue.int(shape.Hk);
  queue.int(shape.d);
  queue.int(shape.S);
  queue.int(shape.window);
  queue.float(shape.scale);
  queue.int(rows);
  queue.int(scratch);
  queue.int(runRoomBytes(shape, rows));
  queue.int(shape.kvType);
}

function attendRows(
  queue: Queue,
  arena: Arena,
  { out, qkv, kv, scratch, rows }: Addresses,
  shape: Shape,
  { first, count }: RowRange,
  splits: number,
): void {
  const each = partialBytes(shape);
  queue.begin(ATTEND_ROWS, arena);
  queue.int(scratch);
  queue.int(qkv);
  queue.int(kv);
  queue.int(rows.slots);
  queue.int(rows.positions);
  queue.int(rows.homes);
  queue.int(first);
  queue.int(count);
  queue.int(shape.Hq);
  queue.int(shape.Hk);
  queue.int(shape.d);
  queue.int(shape.S);
  queue.int(shape.window);
  queue.int(splits);
  queue.float(shape.scale);
  queue.int(scratch + count * shape.Hk * splits * each);
  queue.int(rowRoomBytes(shape));
  queue.int(each);
  queue.int(shape.kvType);
  queue.begin(MERGE_SPLITS, arena);
  queue.int(out);
  queue.int(scratch);
  queue.int(rows.positions);
  queue.int(first);
  queue.int(count);
  queue.int(shape.Hq);
  queue.int(shape.Hk);
  queue.int(shape.d);
  queue.int(shape.window);
  queue.int(splits);
  queue.int(each);
  queue.int(shape.kvType === KV_F32 || shape.d % 8 !== 0 ? 1 : 0);
}

function inLots({ first, count }: RowRange, size: number): RowRange[] {
  return Array.from({ length: Math.ceil(count / size) }, (_, i) => ({
    first: first + i * size,
    count: Math.min(size, count - i * size),
    isRun: false,
  }));
}

function kvType({ dtype }: CpuTensor): number {
  if (dtype === "f32") return KV_F32;
  return dtype === "f16" ? KV_F16 : KV_BF16;
}
