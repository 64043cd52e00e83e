import { addValues } from "./attend_values";
import { scores } from "./attend_scores";
import { address, claim, float, int } from "./command";
import { power4 } from "./exp";
import { F16_SCALE } from "./half";
import { Kv, max1, sum1 } from "./kv_values";
import { SPLIT_TOKENS } from "./ops";

/** A block of K and V stays in the nearest cache between scores and values. */
const BLOCK_BYTES: i32 = 32768;
const MOST_TOKENS: i32 = 64;

/** 2^112 that f16 values lack, in two parts: queries times all of it could overflow. */
const QUERY_SCALE: f32 = 7.922816251426434e28; // 2^96
const SCORE_SCALE: f32 = 65536;

/** Room of one thread: state [groups, 8], scores [64 + 4, 4], then queries [g, dp], then a block as f32. */
const SCORES_BYTES: usize = (64 + 4) * 16;

/** Query heads that share a pass over K and V: as equal as can be, four at most. */
function groupHeads(left: i32): i32 {
  const groups = (left + 3) >> 2;
  return (left + groups - 1) / groups;
}

/**
 * partials, qkv, kv, slots, positions, homes, first row, rows, Hq, Hk, d, S, window, splits, scale, rooms, bytes of a room,
 * bytes of a partial: rows each by itself. Of every split of a row's tokens, partial [row, Hk, splits]: the weighted sums
 * [g, dp], the maxima [g] and the sums of weights [g].
 */
export function attendRows<T>(command: usize, thread: i32): void {
  const partials = address(command, 0);
  const qkv = address(command, 1);
  const kv = address(command, 2);
  const slots = address(command, 3);
  const positions = address(command, 4);
  const homes = address(command, 5);
  const firstRow = int(command, 6);
  const rows = int(command, 7);
  const Hq = int(command, 8);
  const Hk = int(command, 9);
  const d = int(command, 10);
  const S = int(command, 11);
  const window = int(command, 12);
  const splits = int(command, 13);
  const scale = float(command, 14);
  const room = address(command, 15) + <usize> thread * address(command, 16);
  const partialBytes = address(command, 17);
  const g = Hq / Hk;
  const dp = (d + 7) & ~7;
  const stride = <usize> d * 2 * sizeof<T>();
  const units = rows * Hk * splits;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const split = unit % splits;
    const h = (unit / splits) % Hk;
    const row = <usize> (firstRow + unit / (splits * Hk)) << 2;
    const position = load<i32>(positions + row);
    const home = load<i32>(homes + row);
    let from = max(split * SPLIT_TOKENS, window > 0 ? position - window + 1 : 0);
    let end = min((split + 1) * SPLIT_TOKENS, position);
    const isLast = position / SPLIT_TOKENS == split;
    if (isLast && home == position) end++;
    if (from >= end && !isLast) continue;
    const acc = partials + <usize> unit * partialBytes;
    const maxima = acc + (<usize> (g * dp) << 2);
    memory.fill(acc, 0, <usize> (g * dp) << 2);
    const queries = room + (<usize> ((g + 3) >> 2) << 5) + SCORES_BYTES;
    const asked = qkv + ((row >> 2) * <usize> (Hq + 2 * Hk) + <usize> (h * g)) * (<usize> d << 2);
    start<T>(room, queries, asked, g, d, scale);
    const tokens = kv + (<usize> load<i32>(slots + row) * <usize> Hk + <usize> h) * <usize> S * stride;
    if (from < end) attendTokens<T>(room, acc, tokens + <usize> from * stride, end - from, g, d);
    if (isLast && home != position) attendTokens<T>(room, acc, tokens + <usize> home * stride, 1, g, d);
    let state = room;
    for (let head = 0, heads = 0; head < g; head += heads, state += 32) {
      heads = groupHeads(g - head);
      for (let i = 0; i < heads; i++) {
        const at = maxima + (<usize> (head + i) << 2);
        const lane = <usize> i << 2;
        store<f32>(at, load<f32>(state + lane));
        const sum = heads == 1 ? sum1(v128.load(state, 16)) : load<f32>(state + lane, 16);
        store<f32>(at + (<usize> g << 2), sum);
      }
    }
  }
}

/** Empty state, and the queries times scale as `scores` reads them. */
function start<T>(room: usize, to: usize, q: usize, g: i32, d: i32, scale: f32): void {
  const isPadded = (d & 7) != 0;
  const dp = (d + 7) & ~7;
  const factor = isInteger<T>() && isSigned<T>() && !isPadded ? scale * QUERY_SCALE : scale;
  for (let head = 0, heads = 0; head < g; head += heads, room += 32) {
    heads = groupHeads(g - head);
    v128.store(room, f32x4.splat(-Infinity));
    v128.store(room, f32x4.splat(0), 16);
    for (let c = 0; c < dp; c += 8) {
      for (let i = 0; i < heads; i++, to += 32) {
        const from = q + (<usize> ((head + i) * d + c) << 2);
        for (let j = 0; j < 8; j++) {
          const place = isFloat<T>() || isPadded ? j : ((j & 1) << 2) | (j >> 1);
          const value: f32 = c + j < d ? load<f32>(from + (<usize> j << 2)) * factor : 0;
          store<f32>(to + (<usize> place << 2), value);
        }
      }
    }
  }
}

/** Takes `count` adjacent tokens, the first at `tokens`, into the state and the sums. */
function attendTokens<T>(room: usize, acc: usize, tokens: usize, count: i32, g: i32, d: i32): void {
  const isPadded = (d & 7) != 0;
  const dp = (d + 7) & ~7;
  const stride = <usize> d * 2 * sizeof<T>();
  const block = max(8, min(MOST_TOKENS, BLOCK_BYTES / <i32> stride) & ~3);
  const scoresAt = room + (<usize> ((g + 3) >> 2) << 5);
  const queries = scoresAt + SCORES_BYTES;
  const copy = queries + (<usize> (g * dp) << 2);
  for (let n = 0; n < count; n += block) {
    const some = min(block, count - n);
    const at = tokens + <usize> n * stride;
    if (isPadded) {
      pad<T>(copy, at, some, d);
      blockOfTokens<f32>(room, scoresAt, queries, acc, copy, <usize> dp << 3, some, g, dp);
    } else {
      touch(scoresAt, at, at + <usize> some * stride);
      blockOfTokens<T>(room, scoresAt, queries, acc, at, stride, some, g, d);
    }
  }
}

/** Brings every cache line near before any of them is waited for. */
function touch(to: usize, from: usize, end: usize): void {
  let a = 0, b = 0;
  for (; from + 448 < end; from += 512) {
    a ^= load<i32>(from) ^ load<i32>(from, 64);
    b ^= load<i32>(from, 128) ^ load<i32>(from, 192);
    a ^= load<i32>(from, 256) ^ load<i32>(from, 320);
    b ^= load<i32>(from, 384) ^ load<i32>(from, 448);
  }
  store<i32>(to, a ^ b);
}

function blockOfTokens<T>(
  state: usize,
  s: usize,
  q: usize,
  acc: usize,
  tokens: usize,
  stride: usize,
  count: i32,
  g: i32,
  d: i32,
): void {
  const isF16 = isInteger<T>() && isSigned<T>();
  const unscale: f32 = isF16 ? SCORE_SCALE : 1;
  const weightScale: f32 = isF16 ? F16_SCALE : 1;
  const row = <usize> d << 2;
  const values = tokens + <usize> d * sizeof<T>();
  for (let head = 0, heads = 0; head < g; head += heads) {
    heads = groupHeads(g - head);
    scores<T>(heads, s, q, tokens, count, stride, d, unscale);
    weigh(heads, s, count, state, acc, row, weightScale);
    addValues<T>(heads, acc, s, values, count, stride, d);
    state += 32;
    q += <usize> heads * row;
    acc += <usize> heads * row;
  }
}

/** Scores to weights times weightScale, against the largest so far; sums made against a smaller one are scaled down. */
function weigh(
  heads: i32,
  s: usize,
  count: i32,
  state: usize,
  acc: usize,
  row: usize,
  weightScale: f32,
): void {
  const vectors = heads == 1 ? (count + 3) >> 2 : count;
  if (heads == 1) {
    for (let n = count; n < vectors << 2; n++) store<f32>(s + (<usize> n << 2), -Infinity);
  }
  const end = s + (<usize> vectors << 4);
  let largest = v128.load(s);
  for (let x = s + 16; x < end; x += 16) largest = f32x4.pmax(largest, v128.load(x));
  if (heads == 1) largest = f32x4.splat(max1(largest));
  let reference = v128.load(state);
  let total = v128.load(state, 16);
  if (v128.any_true(f32x4.gt(largest, reference))) {
    largest = f32x4.pmax(reference, largest);
    const factor = power4(f32x4.sub(reference, largest));
    total = f32x4.mul(total, factor);
    reference = largest;
    v128.store(state, reference);
    // The lanes of a vector that lies in memory can be named by a loop.
    v128.store(state, factor, 16);
    for (let i = 0; i < heads; i++) {
      const by = v128.load32_splat(state + (<usize> i << 2), 16);
      for (const last = acc + row; acc < last; acc += 16) v128.store(acc, f32x4.mul(v128.load(acc), by));
    }
  }
  for (let x = s; x < end; x += 16) {
    const weight = power4(f32x4.sub(v128.load(x), reference));
    total = f32x4.add(total, weight);
    v128.store(x, f32x4.mul(weight, f32x4.splat(weightScale)));
  }
  v128.store(state, total, 16);
}

/** K and V of `count` tokens as f32, d filled up with zeros to dp. */
function pad<T>(to: usize, tokens: usize, count: i32, d: i32): void {
  for (let i = 0; i < 2 * count; i++) {
    for (let c = 0; c < d; c++, tokens += sizeof<T>(), to += 4) store<f32>(to, Kv.one<T>(tokens));
    for (let c = d; (c & 7) != 0; c++, to += 4) store<f32>(to, 0);
  }
}
