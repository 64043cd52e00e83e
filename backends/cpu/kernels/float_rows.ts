import { Fused } from "./fused";
import { address, claim, int } from "./command";
import { Eight, storeSums, sums4 } from "./float_values";
import { BF16, F16, F32 } from "./ops";

/** Bytes of weights per unit of work, about. */
const UNIT_BYTES: i32 = 32768;

/** Values of a row of x as laid out. */
export function paddedColumns(I: i32): i32 {
  return (I + 7) & ~7;
}

/** to, x, R, I, dtype: the rows of x as weights of that type meet them, filled up with zeros to whole eights. */
export function layOutRows(command: usize): void {
  const to = address(command, 0);
  const x = address(command, 1);
  const R = int(command, 2);
  const I = int(command, 3);
  const dtype = int(command, 4);
  const Ip = paddedColumns(I);
  for (let r = claim(command); r < R; r = claim(command)) {
    const row = to + (<usize> r * <usize> Ip << 2);
    const from = x + (<usize> r * <usize> I << 2);
    if (dtype == F32) layOut<f32>(row, from, I);
    else if (dtype == F16) layOut<i16>(row, from, I);
    else layOut<u16>(row, from, I);
  }
}

function layOut<T>(to: usize, x: usize, I: i32): void {
  const scale = f32x4.splat(Eight.xScale<T>());
  let i = 0;
  for (; i + 8 <= I; i += 8) {
    const at = <usize> i << 2;
    const a = f32x4.mul(v128.load(x + at), scale);
    const b = f32x4.mul(v128.load(x + at, 16), scale);
    putEight<T>(to + at, a, b);
  }
  if (i < I) {
    const end = x + (<usize> I << 2);
    const a = f32x4.mul(Eight.lastLow<f32>(end, I - i), scale);
    const b = f32x4.mul(Eight.lastHigh<f32>(end, I - i), scale);
    putEight<T>(to + (<usize> i << 2), a, b);
  }
}

function putEight<T>(to: usize, a: v128, b: v128): void {
  v128.store(to, isFloat<T>() ? a : v128.shuffle<f32>(a, b, 0, 2, 4, 6));
  v128.store(to, isFloat<T>() ? b : v128.shuffle<f32>(a, b, 1, 3, 5, 7), 16);
}

/**
 * out, x, weight, bias (0: none), R, N, I, columns, dtype, experts, perRow: out[r·columns + n] ← Σ_i x[r, i]·weight[n, i] + bias[n]; out begins
 * at its first column, x is as `layOutRows` leaves it. Lane l of a sum takes every fourth value as laid out, in order. With experts
 * (else 0), row r meets matrix experts[r] of the weight and is row r / perRow of x.
 */
export function floatRows(command: usize): void {
  const dtype = int(command, 8);
  if (dtype == F32) rowsOf<f32>(command);
  else if (dtype == F16) rowsOf<i16>(command);
  else if (dtype == BF16) rowsOf<u16>(command);
  else unreachable();
}

function rowsOf<T>(command: usize): void {
  const out = address(command, 0);
  const x = address(command, 1);
  const weight = address(command, 2);
  const bias = address(command, 3);
  const R = int(command, 4);
  const N = int(command, 5);
  const I = int(command, 6);
  const columns = int(command, 7);
  const experts = address(command, 9);
  const perRow = int(command, 10);
  const rowBytes = <usize> I * sizeof<T>();
  const xBytes = <usize> paddedColumns(I) << 2;
  const perUnit = max(4, (UNIT_BYTES / <i32> rowBytes) & ~3);
  const units = (N + perUnit - 1) / perUnit;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const first = unit * perUnit;
    const last = min(N, first + perUnit);
    for (let n = first; n < last; n += 4) {
      const w = weight + <usize> n * rowBytes;
      const biases = bias == 0 ? 0 : bias + (<usize> n << 2);
      for (let r = 0; r < R; r++) {
        const to = out + (<usize> (r * columns + n) << 2);
        const e = experts == 0 ? 0 : load<u32>(experts + (<usize> r << 2));
        const from = w + <usize> e * <usize> N * rowBytes;
        dotFour<T>(to, x + <usize> (r / perRow) * xBytes, from, rowBytes, I, biases, last - n);
      }
    }
  }
}

/** Four rows of weights; those beyond `count` repeat the first. */
function dotFour<T>(
  out: usize,
  x: usize,
  w0: usize,
  rowBytes: usize,
  I: i32,
  bias: usize,
  count: i32,
): void {
  const w1 = count > 1 ? w0 + rowBytes : w0;
  const w2 = count > 2 ? w0 + 2 * rowBytes : w0;
  const w3 = count > 3 ? w0 + 3 * rowBytes : w0;
  let a = f32x4.splat(0), b = f32x4.splat(0), c = f32x4.splat(0), d = f32x4.splat(0);
  const whole = <usize> (I & ~7);
  let i: usize = 0;
  for (; i < whole; i += 8) {
    const at = i * sizeof<T>();
    const low = v128.load(x + (i << 2));
    const high = v128.load(x + (i << 2), 16);
    if (isFloat<T>()) {
      a = add(a, low, Eight.low<T>(w0 + at)), a = add(a, high, Eight.high<T>(w0 + at));
      b = add(b, low, Eight.low<T>(w1 + at)), b = add(b, high, Eight.high<T>(w1 + at));
      c = add(c, low, Eight.low<T>(w2 + at)), c = add(c, high, Eight.high<T>(w2 + at));
      d = add(d, low, Eight.low<T>(w3 + at)), d = add(d, high, Eight.high<T>(w3 + at));
    } else {
      const h0 = v128.load(w0 + at),
        h1 = v128.load(w1 + at),
        h2 = v128.load(w2 + at),
        h3 = v128.load(w3 + at);
      a = add(a, low, Eight.even<T>(h0)), a = add(a, high, Eight.odd<T>(h0));
      b = add(b, low, Eight.even<T>(h1)), b = add(b, high, Eight.odd<T>(h1));
      c = add(c, low, Eight.even<T>(h2)), c = add(c, high, Eight.odd<T>(h2));
      d = add(d, low, Eight.even<T>(h3)), d = add(d, high, Eight.odd<T>(h3));
    }
  }
  const rest = I - <i32> whole;
  if (rest > 0) {
    const low = v128.load(x + (i << 2));
    const high = v128.load(x + (i << 2), 16);
    a = addLast<T>(a, low, high, w0 + rowBytes, rest);
    b = addLast<T>(b, low, high, w1 + rowBytes, rest);
    c = addLast<T>(c, low, high, w2 + rowBytes, rest);
    d = addLast<T>(d, low, high, w3 + rowBytes, rest);
  }
  const sums = f32x4.mul(sums4(a, b, c, d), f32x4.splat(Eight.sumScale<T>()));
  storeSums(out, sums, bias, count);
}

function add(sum: v128, x: v128, w: v128): v128 {
  return Fused.plus(sum, x, w);
}

function addLast<T>(sum: v128, low: v128, high: v128, end: usize, rest: i32): v128 {
  return add(add(sum, low, Eight.lastLow<T>(end, rest)), high, Eight.lastHigh<T>(end, rest));
}
