import { Four, Three, Two } from "./type_numbers";
import { Fused } from "./fused";
import { Row, sumLanes } from "./row_lanes";

/**
 * Logits of `count` rows, whose addresses lie u32 by u32 at `rows`, under 1 to 4 query heads: out[n] of one head, out[n, 4] of
 * several, whose spare lanes repeat a head. q is [heads, `pitch` bytes] in the rows' order of lanes. Rows are taken in fours, so the
 * list goes on to a multiple of four.
 */
export class RowLogits {
  /** Four rows at once. */
  static one<T>(out: usize, q: usize, rows: usize, count: i32, d: i32, unscale: f32): void {
    const whole = q + (<usize> (d & ~7) << 2);
    const end = q + (<usize> d << 2);
    for (let n = 0; n < count; n += 4, rows += 16, out += 16) {
      let k0: usize = load<u32>(rows);
      let k1: usize = load<u32>(rows, 4);
      let k2: usize = load<u32>(rows, 8);
      let k3: usize = load<u32>(rows, 12);
      let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
      let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
      let x = q;
      for (; x < whole; x += 32) {
        const qe = v128.load(x);
        const qo = v128.load(x, 16);
        if (isFloat<T>()) {
          a0 = Fused.plus(a0, qe, v128.load(k0));
          b0 = Fused.plus(b0, qo, v128.load(k0, 16));
          a1 = Fused.plus(a1, qe, v128.load(k1));
          b1 = Fused.plus(b1, qo, v128.load(k1, 16));
          a2 = Fused.plus(a2, qe, v128.load(k2));
          b2 = Fused.plus(b2, qo, v128.load(k2, 16));
          a3 = Fused.plus(a3, qe, v128.load(k3));
          b3 = Fused.plus(b3, qo, v128.load(k3, 16));
        } else {
          const x0 = v128.load(k0);
          a0 = Fused.plus(a0, qe, Row.even<T>(x0));
          b0 = Fused.plus(b0, qo, Row.odd<T>(x0));
          const x1 = v128.load(k1);
          a1 = Fused.plus(a1, qe, Row.even<T>(x1));
          b1 = Fused.plus(b1, qo, Row.odd<T>(x1));
          const x2 = v128.load(k2);
          a2 = Fused.plus(a2, qe, Row.even<T>(x2));
          b2 = Fused.plus(b2, qo, Row.odd<T>(x2));
          const x3 = v128.load(k3);
          a3 = Fused.plus(a3, qe, Row.even<T>(x3));
          b3 = Fused.plus(b3, qo, Row.odd<T>(x3));
        }
        k0 += sizeof<T>() << 3;
        k1 += sizeof<T>() << 3;
        k2 += sizeof<T>() << 3;
        k3 += sizeof<T>() << 3;
      }
      let sums = sumLanes(f32x4.add(a0, b0), f32x4.add(a1, b1), f32x4.add(a2, b2), f32x4.add(a3, b3));
      for (; x < end; x += 4) {
        const k = f32x4(Row.one<T>(k0), Row.one<T>(k1), Row.one<T>(k2), Row.one<T>(k3));
        sums = Fused.plus(sums, v128.load32_splat(x), k);
        k0 += sizeof<T>(), k1 += sizeof<T>(), k2 += sizeof<T>(), k3 += sizeof<T>();
      }
      v128.store(out, f32x4.mul(sums, f32x4.splat(unscale)));
    }
  }

  /** Two rows at once; H says how many heads. */
  static several<T, H>(
    out: usize,
    q: usize,
    pitch: usize,
    rows: usize,
    count: i32,
    d: i32,
    unscale: f32,
  ): void {
    const heads = lengthof<H>();
    const whole = q + (<usize> (d & ~7) << 2);
    const end = q + (<usize> d << 2);
    for (let n = 0; n < count; n += 2, rows += 8, out += 32) {
      let k0: usize = load<u32>(rows);
      let k1: usize = load<u32>(rows, 4);
      let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
      let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
      let x0 = q;
      for (; x0 < whole; x0 += 32) {
        let e0: v128, o0: v128, e1: v128, o1: v128;
        if (isFloat<T>()) {
          e0 = v128.load(k0), o0 = v128.load(k0, 16);
          e1 = v128.load(k1), o1 = v128.load(k1, 16);
        } else {
          const both0 = v128.load(k0);
          e0 = Row.even<T>(both0), o0 = Row.odd<T>(both0);
          const both1 = v128.load(k1);
          e1 = Row.even<T>(both1), o1 = Row.odd<T>(both1);
        }
        k0 += sizeof<T>() << 3;
        k1 += sizeof<T>() << 3;
        let w = v128.load(x0);
        a0 = Fused.plus(a0, w, e0);
        b0 = Fused.plus(b0, w, e1);
        w = v128.load(x0, 16);
        a0 = Fused.plus(a0, w, o0);
        b0 = Fused.plus(b0, w, o1);
        let x = x0 + pitch;
        w = v128.load(x);
        a1 = Fused.plus(a1, w, e0);
        b1 = Fused.plus(b1, w, e1);
        w = v128.load(x, 16);
        a1 = Fused.plus(a1, w, o0);
        b1 = Fused.plus(b1, w, o1);
        if (heads > 2) {
          x += pitch;
          w = v128.load(x);
          a2 = Fused.plus(a2, w, e0);
          b2 = Fused.plus(b2, w, e1);
          w = v128.load(x, 16);
          a2 = Fused.plus(a2, w, o0);
          b2 = Fused.plus(b2, w, o1);
        }
        if (heads > 3) {
          x += pitch;
          w = v128.load(x);
          a3 = Fused.plus(a3, w, e0);
          b3 = Fused.plus(b3, w, e1);
          w = v128.load(x, 16);
          a3 = Fused.plus(a3, w, o0);
          b3 = Fused.plus(b3, w, o1);
        }
      }
      if (heads < 3) a2 = a0, b2 = b0;
      if (heads < 4) a3 = a1, b3 = b1;
      let first = sumLanes(a0, a1, a2, a3);
      let second = sumLanes(b0, b1, b2, b3);
      for (; x0 < end; x0 += 4) {
        const w = f32x4(
          load<f32>(x0),
          load<f32>(x0 + pitch),
          load<f32>(heads > 2 ? x0 + 2 * pitch : x0),
          load<f32>(heads > 3 ? x0 + 3 * pitch : x0 + pitch),
        );
        first = Fused.plus(first, w, f32x4.splat(Row.one<T>(k0)));
        second = Fused.plus(second, w, f32x4.splat(Row.one<T>(k1)));
        k0 += sizeof<T>(), k1 += sizeof<T>();
      }
      v128.store(out, f32x4.mul(first, f32x4.splat(unscale)));
      v128.store(out, f32x4.mul(second, f32x4.splat(unscale)), 16);
    }
  }
}

export function rowLogits<T>(
  heads: i32,
  out: usize,
  q: usize,
  pitch: usize,
  rows: usize,
  count: i32,
  d: i32,
  unscale: f32,
): void {
  if (heads == 1) RowLogits.one<T>(out, q, rows, count, d, unscale);
  else if (heads == 2) RowLogits.several<T, Two>(out, q, pitch, rows, count, d, unscale);
  else if (heads == 3) RowLogits.several<T, Three>(out, q, pitch, rows, count, d, unscale);
  else RowLogits.several<T, Four>(out, q, pitch, rows, count, d, unscale);
}
