import { address, int } from "./command";
import { F16_HALF_SCALE, Row } from "./row_lanes";

/** Tokens per entry of valueSums. */
const VALUE_SUM_TOKENS: i32 = 64;

/** Query heads of a set in the rows' order of lanes, f16's raised by 2^56. Arguments of `command` as of ATTEND_SELECTED. */
export function loadQueries<T>(command: usize, set: i32, to: usize, pitch: usize): void {
  const Hq = int(command, 13);
  const Hk = int(command, 14);
  const H = int(command, 15);
  const d = int(command, 16);
  const g = Hq / H;
  const row = int(command, 11) + set / H;
  let from = address(command, 2) + (<usize> (row * (Hq + 2 * Hk) + set % H * g) * <usize> d << 2);
  const raise = f32x4.splat(isSigned<T>() && !isFloat<T>() ? F16_HALF_SCALE : 1);
  for (let i = 0; i < g; i++, to += pitch) {
    let c = 0;
    for (; c + 8 <= d; c += 8, from += 32) {
      const at = to + (<usize> c << 2);
      const a = f32x4.mul(v128.load(from), raise);
      const b = f32x4.mul(v128.load(from, 16), raise);
      v128.store(at, isFloat<T>() ? a : v128.shuffle<f32>(a, b, 0, 2, 4, 6));
      v128.store(at, isFloat<T>() ? b : v128.shuffle<f32>(a, b, 1, 3, 5, 7), 16);
    }
    for (; c < d; c++, from += 4) {
      store<f32>(to + (<usize> c << 2), load<f32>(from) * f32x4.extract_lane(raise, 0));
    }
  }
}

/** ΣV, in the rows' order of lanes, of what a row sees behind the last entry of valueSums, the row itself included. */
export function sumOtherRows<T>(command: usize, set: i32, to: usize): void {
  const Hk = int(command, 14);
  const H = int(command, 15);
  const d = int(command, 16);
  const S = int(command, 17);
  const t = <usize> (int(command, 11) + set / H);
  const position = load<i32>(address(command, 7) + (t << 2));
  const slot = load<i32>(address(command, 6) + (t << 2));
  const home = load<i32>(address(command, 8) + (t << 2));
  const half = <usize> d * sizeof<T>();
  const cached = address(command, 3) + <usize> (slot * Hk + set % H * Hk / H) * <usize> S * 2 * half;
  const first = position & ~(VALUE_SUM_TOKENS - 1);
  const at = cached + <usize> first * 2 * half + half;
  memory.fill(to, 0, <usize> d << 2);
  addRows<T>(to, at, position - first, d);
  addRows<T>(to, cached + <usize> home * 2 * half + half, 1, d);
}

/** to ← to + the V of adjacent tokens from `at` on. */
function addRows<T>(to: usize, at: usize, count: i32, d: i32): void {
  const stride = <usize> (2 * d) * sizeof<T>();
  const end = at + <usize> count * stride;
  for (; at < end; at += stride) {
    let v = at;
    let c = 0;
    for (; c + 8 <= d; c += 8, v += sizeof<T>() << 3) {
      const sums = to + (<usize> c << 2);
      const x = v128.load(v);
      const even = isFloat<T>() ? x : Row.even<T>(x);
      const odd = isFloat<T>() ? v128.load(v, 16) : Row.odd<T>(x);
      v128.store(sums, f32x4.add(v128.load(sums), even));
      v128.store(sums, f32x4.add(v128.load(sums, 16), odd), 16);
    }
    for (; c < d; c++, v += sizeof<T>()) {
      const sum = to + (<usize> c << 2);
      store<f32>(sum, load<f32>(sum) + Row.one<T>(v));
    }
  }
}

/**
 * Loads a word of every cache line of the rows listed at `where`, a multiple of eight: as near to a prefetch as WebAssembly gets.
 * One line of eight rows after the other: rows lie on pages of their own, whose addresses are then looked up at once. What is
 * loaded is stored at `sink`, so that no engine leaves it out.
 */
export function touchRows(where: usize, count: i32, rowBytes: usize, sink: usize): void {
  let seen = load<u32>(sink);
  for (const end = where + (<usize> count << 2); where < end; where += 32) {
    const a = <usize> load<u32>(where), b = <usize> load<u32>(where, 4);
    const c = <usize> load<u32>(where, 8), d = <usize> load<u32>(where, 12);
    const e = <usize> load<u32>(where, 16), f = <usize> load<u32>(where, 20);
    const g = <usize> load<u32>(where, 24), h = <usize> load<u32>(where, 28);
    for (let at: usize = 0; at < rowBytes; at += 64) {
      seen ^= load<u32>(a + at) ^ load<u32>(b + at) ^ load<u32>(c + at) ^ load<u32>(d + at);
      seen ^= load<u32>(e + at) ^ load<u32>(f + at) ^ load<u32>(g + at) ^ load<u32>(h + at);
    }
    // A row need not start with a line.
    const last = rowBytes - 4;
    seen ^= load<u32>(a + last) ^ load<u32>(b + last) ^ load<u32>(c + last) ^ load<u32>(d + last);
    seen ^= load<u32>(e + last) ^ load<u32>(f + last) ^ load<u32>(g + last) ^ load<u32>(h + last);
  }
  store<u32>(sink, seen);
}
