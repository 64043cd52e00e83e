import { address, claim, int } from "./command";
import { storeSums } from "./float_values";
import { DOT_PLAIN, DOT_RELAXED_32, Q4_K, Q4_K_TILE_BYTES, Q6_K_TILE_BYTES } from "./ops";
import { Bits, Dot, Rows } from "./wide_dot";
import {
  Q4_CODES,
  Q4_MINIMA,
  Q4_MINIMUM,
  Q4_SCALES,
  Q6_HIGH,
  Q6_LOW,
  Q6_SCALES,
  tileBytes,
} from "./wide_layout";

/** Bytes of weights per unit of work, about. */
const UNIT_BYTES: i32 = 16384;

/**
 * out, weight, bias (0: none), R, N, I, columns, dtype, dot, codes, scale, scaledSum, sums16, experts, perRow: out[r·columns + n] ← Σ_i x[r,
 * i]·weight[n, i] + bias[n]; out begins at its first column; x in blocks, row after row, its codes as the variant of `Dot` wants
 * them. Groups of 32 columns are added up in order, each: sum + (Σ codes · (scale · group scale)) · x scale, then, of q4_k, minus
 * (minimum scale · group minimum) · scaledSum. With experts (else 0), row r meets matrix experts[r] of the weight and is made of
 * row r / perRow of x.
 */
export function wideRows(command: usize): void {
  const dot = int(command, 8);
  if (dot == DOT_PLAIN) kindsOf<i16>(command);
  else if (dot == DOT_RELAXED_32) kindsOf<i8>(command);
  else kindsOf<u8>(command);
}

function kindsOf<T>(command: usize): void {
  if (int(command, 7) == Q4_K) rowsOf<T, u8>(command);
  else rowsOf<T, i8>(command);
}

/** T as of `Dot`; K u8: q4_k, i8: q6_k. */
function rowsOf<T, K>(command: usize): void {
  const out = address(command, 0);
  const weight = address(command, 1);
  const bias = address(command, 2);
  const R = int(command, 3);
  const N = int(command, 4);
  const I = int(command, 5);
  const columns = int(command, 6);
  const codes = address(command, 9);
  const scale = address(command, 10);
  const scaledSum = address(command, 11);
  const sums16 = address(command, 12);
  const experts = address(command, 13);
  const perRow = int(command, 14);
  const runBytes = <usize> (I / 256) * tileBytes(int(command, 7));
  const blocks = <usize> (I / 32);
  const tiles = (N + 7) / 8;
  const perUnit = max(1, UNIT_BYTES / <i32> runBytes);
  const units = (tiles + perUnit - 1) / perUnit;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const last = min(tiles, (unit + 1) * perUnit);
    for (let tile = unit * perUnit; tile < last; tile++) {
      const n = tile * 8;
      const w = weight + <usize> tile * runBytes;
      const biases = bias == 0 ? 0 : bias + (<usize> n << 2);
      for (let r = 0; r < R; r++) {
        const e = experts == 0 ? 0 : load<u32>(experts + (<usize> r << 2));
        const from = w + <usize> e * <usize> tiles * runBytes;
        const to = out + (<usize> (r * columns + n) << 2);
        const first = <usize> (r / perRow) * blocks;
        const x = codes + (first << 5) * sizeof<T>();
        if (isSigned<K>()) {
          sixBits<T>(
            to,
            from,
            from + runBytes,
            x,
            scale + (first << 2),
            sums16 + (first << 3),
            biases,
            N - n,
          );
        } else {
          fourBits<T>(
            to,
            from,
            from + runBytes,
            x,
            scale + (first << 2),
            scaledSum + (first << 2),
            biases,
            N - n,
          );
        }
      }
    }
  }
}

/** One row of x with the tiles from w to end. */
function fourBits<T>(
  out: usize,
  w: usize,
  end: usize,
  x: usize,
  scale: usize,
  scaledSum: usize,
  bias: usize,
  count: i32,
): void {
  let sum0 = f32x4.splat(0), sum1 = f32x4.splat(0);
  for (; w < end; w += Q4_K_TILE_BYTES) {
    const d0 = Rows.halves(w, 0), d1 = Rows.halves(w, 1);
    const m0 = Rows.halves(w + Q4_MINIMUM, 0), m1 = Rows.halves(w + Q4_MINIMUM, 1);
    let at = w + Q4_CODES;
    for (let group: usize = 0; group < 8; group += 2) {
      let a0 = i32x4.splat(0), a1 = i32x4.splat(0), b0 = i32x4.splat(0), b1 = i32x4.splat(0);
      for (const stop = at + 256; at < stop; at += 64) {
        let w0 = v128.load(at), w1 = v128.load(at, 16);
        let low = Dot.first<T>(x), lower = Dot.second<T>(x);
        let high = Dot.first<T>(x + 32 * sizeof<T>()), higher = Dot.second<T>(x + 32 * sizeof<T>());
        a0 = Dot.add<T>(a0, Bits.low(w0), low, lower), a1 = Dot.add<T>(a1, Bits.low(w1), low, lower);
        b0 = Dot.add<T>(b0, Bits.high(w0), high, higher), b1 = Dot.add<T>(b1, Bits.high(w1), high, higher);
        w0 = v128.load(at, 32), w1 = v128.load(at, 48);
        low = Dot.first<T>(x + 4 * sizeof<T>()), lower = Dot.second<T>(x + 4 * sizeof<T>());
        high = Dot.first<T>(x + 36 * sizeof<T>()), higher = Dot.second<T>(x + 36 * sizeof<T>());
        a0 = Dot.add<T>(a0, Bits.low(w0), low, lower), a1 = Dot.add<T>(a1, Bits.low(w1), low, lower);
        b0 = Dot.add<T>(b0, Bits.high(w0), high, higher), b1 = Dot.add<T>(b1, Bits.high(w1), high, higher);
        x += 8 * sizeof<T>();
      }
      const scales = w + Q4_SCALES + (group << 3);
      const minima = w + Q4_MINIMA + (group << 3);
      a0 = Dot.whole<T>(a0), a1 = Dot.whole<T>(a1), b0 = Dot.whole<T>(b0), b1 = Dot.whole<T>(b1);
      sum0 = group4(sum0, a0, scales, minima, 0, d0, m0, scale, scaledSum);
      sum1 = group4(sum1, a1, scales, minima, 1, d1, m1, scale, scaledSum);
      sum0 = group4(sum0, b0, scales + 8, minima + 8, 0, d0, m0, scale + 4, scaledSum + 4);
      sum1 = group4(sum1, b1, scales + 8, minima + 8, 1, d1, m1, scale + 4, scaledSum + 4);
      x += 32 * sizeof<T>();
      scale += 8, scaledSum += 8;
    }
  }
  storeSums(out, sum0, bias, count);
  if (count > 4) storeSums(out + 16, sum1, bias == 0 ? 0 : bias + 16, count - 4);
}

function group4(
  sum: v128,
  dots: v128,
  scales: usize,
  minima: usize,
  half: usize,
  d: v128,
  m: v128,
  scale: usize,
  scaledSum: usize,
): v128 {
  const step = f32x4.mul(d, Rows.bytes(scales, half));
  const low = f32x4.mul(m, Rows.bytes(minima, half));
  return addFour(sum, dots, step, low, v128.load32_splat(scale), v128.load32_splat(scaledSum));
}

/** What a group of q4_k adds to a sum. */
export function addFour(sum: v128, dots: v128, step: v128, low: v128, scale: v128, scaledSum: v128): v128 {
  const product = f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(dots), step), scale);
  return f32x4.sub(f32x4.add(sum, product), f32x4.mul(low, scaledSum));
}

/** What two groups of q6_k with their 32 columns add to a sum. */
export function addSix(sum: v128, dots: v128, d: v128, scale: v128): v128 {
  return f32x4.add(sum, f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(dots), d), scale));
}

function sixBits<T>(
  out: usize,
  w: usize,
  end: usize,
  x: usize,
  scale: usize,
  sums16: usize,
  bias: usize,
  count: i32,
): void {
  let sum0 = f32x4.splat(0), sum1 = f32x4.splat(0);
  for (; w < end; w += Q6_K_TILE_BYTES) {
    for (let half: usize = 0; half < 2; half++) {
      const low = w + Q6_LOW + (half << 9);
      const high = w + Q6_HIGH + (half << 8);
      const scales = w + Q6_SCALES + (half << 6);
      sum0 = sixHalf<T>(sum0, low, high, scales, 0, Rows.halves(w, 0), x, scale, sums16);
      sum1 = sixHalf<T>(sum1, low + 16, high + 16, scales, 1, Rows.halves(w, 1), x, scale, sums16);
      x += 128 * sizeof<T>();
      scale += 16, sums16 += 32;
    }
  }
  storeSums(out, sum0, bias, count);
  if (count > 4) storeSums(out + 16, sum1, bias == 0 ? 0 : bias + 16, count - 4);
}

/** 128 columns, in four runs, of four rows. */
function sixHalf<T>(
  sum: v128,
  low: usize,
  high: usize,
  scales: usize,
  half: usize,
  d: v128,
  x: usize,
  scale: usize,
  sums16: usize,
): v128 {
  let a = i32x4.splat(0), b = i32x4.splat(0), c = i32x4.splat(0), e = i32x4.splat(0);
  for (let group: usize = 0; group < 2; group++) {
    let p = centre(sums16 + (group << 2)), q = centre(sums16 + (group << 2) + 8);
    let r = centre(sums16 + (group << 2) + 16), s = centre(sums16 + (group << 2) + 24);
    for (const stop = high + 128; high < stop; high += 64) {
      const h0 = v128.load(high), h1 = v128.load(high, 32);
      let l0 = v128.load(low), l1 = v128.load(low, 32);
      const y = x + 4 * sizeof<T>();
      p = Dot.addTwo<T>(p, Bits.six(Bits.low(l0), h0, 0), x, Bits.six(Bits.low(l1), h1, 0), y);
      r = Dot.addTwo<T>(
        r,
        Bits.six(Bits.high(l0), h0, 2),
        x + 64 * sizeof<T>(),
        Bits.six(Bits.high(l1), h1, 2),
        y + 64 * sizeof<T>(),
      );
      l0 = v128.load(low, 256), l1 = v128.load(low, 288);
      q = Dot.addTwo<T>(
        q,
        Bits.six(Bits.low(l0), h0, 1),
        x + 32 * sizeof<T>(),
        Bits.six(Bits.low(l1), h1, 1),
        y + 32 * sizeof<T>(),
      );
      s = Dot.addTwo<T>(
        s,
        Bits.six(Bits.high(l0), h0, 3),
        x + 96 * sizeof<T>(),
        Bits.six(Bits.high(l1), h1, 3),
        y + 96 * sizeof<T>(),
      );
      low += 64;
      x += 8 * sizeof<T>();
    }
    const at = scales + (group << 3);
    a = i32x4.add(a, i32x4.mul(p, Rows.signedBytes(at, half)));
    b = i32x4.add(b, i32x4.mul(q, Rows.signedBytes(at + 16, half)));
    c = i32x4.add(c, i32x4.mul(r, Rows.signedBytes(at + 32, half)));
    e = i32x4.add(e, i32x4.mul(s, Rows.signedBytes(at + 48, half)));
  }
  sum = addSix(sum, a, d, v128.load32_splat(scale));
  sum = addSix(sum, b, d, v128.load32_splat(scale, 4));
  sum = addSix(sum, c, d, v128.load32_splat(scale, 8));
  return addSix(sum, e, d, v128.load32_splat(scale, 12));
}

/** Codes are held 32 too large: what that adds to the dot product of a group, taken away beforehand. */
export function centre(sums16: usize): v128 {
  return i32x4.mul(v128.load32_splat(sums16), i32x4.splat(-32));
}
