import { address, claim, float, int } from "./command";
import { power4 } from "./exp";
import { ATTEND_ROOM, EXP_CONSTANTS, SELECTED_RUN } from "./ops";
import { F16_HALF_SCALE } from "./row_lanes";
import { rowLogits } from "./row_logits";
import { addRowValues } from "./row_values";
import { loadQueries, sumOtherRows, touchRows } from "./selected_rows";

/** Rows worked on at a time: what of them is touched is still near when it is used. */
const BLOCK: i32 = 64;

/**
 * runs, room, qkv, kv, indices, counts, slots, positions, homes, scores, staging, firstRow, rows, Hq, Hk, H, d, S, K, perSet,
 * scale, sinks, recents, dtype: exact attention over each run of SELECTED_RUN selected tokens of a set. `scores` is 0 where there
 * is no tail, `staging` where rows come from kv; `perSet` is ⌈K / SELECTED_RUN⌉; `room` is ATTEND_ROOM + g·⌈d/8⌉·32 bytes per thread.
 *
 * Left in `runs` [rows, H, perSet + 1], of 16·g + (g + 1)·⌈d/8⌉·32 bytes each: per head f32 the largest logit, Σ exp, the sum of the
 * logits of tokens not forced, and i32 the sum of their scores; per head f32 [d] Σ exp·V; f32 [d] Σ V where there is a tail. The
 * last of a set holds in the place of that Σ V what `valueSums` does not cover.
 */
export function attendSelectedRows<T>(command: usize, thread: i32): void {
  const indices = address(command, 4);
  const counts = address(command, 5);
  const position0 = address(command, 7);
  const hasTail = address(command, 9) != 0;
  const firstRow = int(command, 11);
  const rows = int(command, 12);
  const Hq = int(command, 13);
  const H = int(command, 15);
  const d = int(command, 16);
  const K = int(command, 18);
  const perSet = int(command, 19);
  const g = Hq / H;
  const pitch = <usize> (d + 7 & ~7) << 2;
  const runBytes = <usize> g * 16 + <usize> (g + 1) * pitch;
  const room = address(command, 1) + <usize> thread * (<usize> ATTEND_ROOM + <usize> g * pitch);
  const units = rows * H * (perSet + 1);
  let queriesOf = -1;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const set = unit / (perSet + 1);
    const run = unit % (perSet + 1);
    const global = <usize> (firstRow * H + set);
    const count = load<i32>(counts + (global << 2));
    const own = address(command, 0) + <usize> unit * runBytes;
    if (run == perSet) {
      const kvLen = load<i32>(position0 + (<usize> (firstRow + set / H) << 2)) + 1;
      if (hasTail && count < kvLen) sumOtherRows<T>(command, set, own + runBytes - pitch);
      continue;
    }
    const first = run * SELECTED_RUN;
    if (first >= count) continue;
    if (queriesOf != set) loadQueries<T>(command, set, room + ATTEND_ROOM, pitch);
    queriesOf = set;
    const list = indices + ((global * <usize> K + <usize> first) << 2);
    attendRun<T>(command, set, first, min(SELECTED_RUN, count - first), list, own, room, pitch);
  }
}

function attendRun<T>(
  command: usize,
  set: i32,
  first: i32,
  count: i32,
  list: usize,
  own: usize,
  room: usize,
  pitch: usize,
): void {
  const kv = address(command, 3);
  const scores = address(command, 9);
  const staging = address(command, 10);
  const Hq = int(command, 13);
  const Hk = int(command, 14);
  const H = int(command, 15);
  const d = int(command, 16);
  const S = int(command, 17);
  const K = int(command, 18);
  const scale = float(command, 20);
  const sinks = int(command, 21);
  const recents = int(command, 22);
  const g = Hq / H;
  const t = int(command, 11) + set / H;
  const position = load<i32>(address(command, 7) + (<usize> t << 2));
  const slot = load<i32>(address(command, 6) + (<usize> t << 2));
  const home = load<i32>(address(command, 8) + (<usize> t << 2));
  const rowBytes = (<usize> d << 1) * sizeof<T>();
  const cached = kv + <usize> (slot * Hk + set % H * Hk / H) * <usize> S * rowBytes;
  const queued = staging == 0 ? <usize> 0 : staging + <usize> ((t * H + set % H) * K + first) * rowBytes;
  const total = own + <usize> g * 16;
  const plain = scores == 0 ? <usize> 0 : total + <usize> g * pitch;
  const where = room + 64;
  const logits = room + 512;
  const query = room + ATTEND_ROOM;
  const unscale: f32 = isSigned<T>() && !isFloat<T>() ? scale * F16_HALF_SCALE : scale;

  for (let i = 0; i < g; i++) {
    const head = own + (<usize> i << 4);
    v128.store(head, f32x4.replace_lane(f32x4.splat(0), 0, -Infinity));
  }
  memory.fill(total, 0, <usize> (g + (plain == 0 ? 0 : 1)) * pitch);

  let begin = 0;
  let end = count;
  if (plain != 0) {
    while (begin < count && load<i32>(list + (<usize> begin << 2)) < sinks) begin++;
    while (end > begin && load<i32>(list + (<usize> (end - 1) << 2)) >= position - recents) end--;
    const head = <usize> (t * Hq + set % H * g);
    for (let i: usize = 0; i < <usize> g; i++) {
      const sum = sumAt(scores + ((head + i) * <usize> S << 2), list, begin, end);
      store<i32>(own + (i << 4), sum, 12);
    }
  }

  for (let n = 0; n < count; n += BLOCK) {
    const here = min(BLOCK, count - n);
    const listed = here + 7 & ~7;
    for (let j = 0; j < listed; j++) {
      const place = n + min(j, here - 1);
      const token = load<i32>(list + (<usize> place << 2));
      const at = token == position
        ? cached + <usize> home * rowBytes
        : queued == 0
        ? cached + <usize> token * rowBytes
        : queued + <usize> place * rowBytes;
      store<u32>(where + (<usize> j << 2), <u32> at);
    }
    touchRows(where, listed, rowBytes, room);
    for (let i = 0; i < g; i += 4) {
      const heads = min(4, g - i);
      const sums = total + <usize> i * pitch;
      rowLogits<T>(heads, logits, query + <usize> i * pitch, pitch, where, here, d, unscale);
      softmaxOf<T>(
        heads,
        logits,
        here,
        max(begin - n, 0),
        min(end - n, here),
        own + (<usize> i << 4),
        sums,
        pitch,
      );
      addRowValues<T>(heads, sums, pitch, i == 0 ? plain : <usize> 0, logits, where, here, rowBytes >>> 1, d);
    }
  }
}

/** Σ row[list[i]] from `begin` below `end`. */
function sumAt(row: usize, list: usize, begin: i32, end: i32): i32 {
  let a = 0, b = 0;
  let i = begin;
  for (; i + 4 <= end; i += 4) {
    const at = list + (<usize> i << 2);
    a += load<i32>(row + (<usize> load<u32>(at) << 2));
    b += load<i32>(row + (<usize> load<u32>(at, 4) << 2));
    a += load<i32>(row + (<usize> load<u32>(at, 8) << 2));
    b += load<i32>(row + (<usize> load<u32>(at, 12) << 2));
  }
  for (; i < end; i++) a += load<i32>(row + (<usize> load<u32>(list + (<usize> i << 2)) << 2));
  return a + b;
}

/**
 * Logits of a block become weights, in place; the heads' sums so far are scaled down where their largest logit grew. Logits
 * from `begin` below `end` are of tokens not forced. f16 weights are 2^56 larger than they are, since the values are smaller.
 */
function softmaxOf<T>(
  heads: i32,
  logits: usize,
  count: i32,
  begin: i32,
  end: i32,
  state: usize,
  total: usize,
  pitch: usize,
): void {
  const raise = f32x4.splat(isSigned<T>() && !isFloat<T>() ? F16_HALF_SCALE : 1);
  let before = f32x4.splat(-Infinity);
  let most = before;
  let free = f32x4.splat(0);
  let z = f32x4.splat(0);
  if (heads == 1) {
    // Four tokens to a vector; those past the end repeat the last.
    for (let n = 0; n < count; n += 4) most = f32x4.pmax(most, v128.load(logits + (<usize> n << 2)));
    let sum: f32 = 0;
    for (let n = begin; n < end; n++) sum += load<f32>(logits + (<usize> n << 2));
    free = f32x4.replace_lane(free, 0, sum);
    most = f32x4.pmax(most, v128.shuffle<f32>(most, most, 2, 3, 0, 1));
    most = f32x4.pmax(most, v128.shuffle<f32>(most, most, 1, 0, 3, 2));
    before = v128.load32_splat(state);
    most = f32x4.pmax(most, before);
    let n = 0;
    for (; n + 4 <= count; n += 4) {
      const at = logits + (<usize> n << 2);
      const e = weightOf(v128.load(at), most);
      z = f32x4.add(z, e);
      v128.store(at, f32x4.mul(e, raise));
    }
    let rest: f32 = 0;
    if (n < count) {
      const at = logits + (<usize> n << 2);
      const e = weightOf(v128.load(at), most);
      rest = f32x4.extract_lane(e, 0);
      if (n + 1 < count) rest += f32x4.extract_lane(e, 1);
      if (n + 2 < count) rest += f32x4.extract_lane(e, 2);
      v128.store(at, f32x4.mul(e, raise));
    }
    z = f32x4.add(z, v128.shuffle<f32>(z, z, 2, 3, 0, 1));
    z = f32x4.add(z, v128.shuffle<f32>(z, z, 1, 0, 3, 2));
    z = f32x4.add(z, f32x4.splat(rest));
  } else {
    for (let i = 0; i < heads; i++) before = withLane(before, i, load<f32>(state + (<usize> i << 4)));
    for (let n = 0; n < count; n++) most = f32x4.pmax(most, v128.load(logits + (<usize> n << 4)));
    for (let n = begin; n < end; n++) free = f32x4.add(free, v128.load(logits + (<usize> n << 4)));
    most = f32x4.pmax(most, before);
    for (let n = 0; n < count; n++) {
      const at = logits + (<usize> n << 4);
      const e = weightOf(v128.load(at), most);
      z = f32x4.add(z, e);
      v128.store(at, f32x4.mul(e, raise));
    }
  }
  const shrink = weightOf(before, most);
  for (let i = 0; i < heads; i++) {
    const head = state + (<usize> i << 4);
    const factor = lane(shrink, i);
    const sums = total + <usize> i * pitch;
    if (factor != 1) {
      for (let at: usize = 0; at < pitch; at += 16) {
        v128.store(sums + at, f32x4.mul(v128.load(sums + at), f32x4.splat(factor)));
      }
    }
    store<f32>(head, lane(most, i));
    store<f32>(head, load<f32>(head, 4) * factor + lane(z, i), 4);
    store<f32>(head, load<f32>(head, 8) + lane(free, i), 8);
  }
}

/** e^(logit - most); the first of exp's constants is log2(e). */
function weightOf(logit: v128, most: v128): v128 {
  return power4(f32x4.mul(f32x4.sub(logit, most), v128.load(EXP_CONSTANTS)));
}

function lane(x: v128, i: i32): f32 {
  if (i == 0) return f32x4.extract_lane(x, 0);
  if (i == 1) return f32x4.extract_lane(x, 1);
  if (i == 2) return f32x4.extract_lane(x, 2);
  return f32x4.extract_lane(x, 3);
}

function withLane(x: v128, i: i32, value: f32): v128 {
  if (i == 0) return f32x4.replace_lane(x, 0, value);
  if (i == 1) return f32x4.replace_lane(x, 1, value);
  if (i == 2) return f32x4.replace_lane(x, 2, value);
  return f32x4.replace_lane(x, 3, value);
}
