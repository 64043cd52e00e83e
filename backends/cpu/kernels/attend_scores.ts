import { Four, Three, Two } from "./type_numbers";
import { Fused } from "./fused";
import { Kv, sums4 } from "./kv_values";

/**
 * Scores of `count` tokens under 1 to 4 query heads: s[n] of one head, s[n, 4] of several, whose spare lanes repeat a
 * head. q is [d/8, heads, 8] as `packQuery` leaves it; keys lie `stride` bytes apart. Writes up to 3 scores more than asked for.
 */
export class Scores {
  /** Four tokens at once: their eight sums leave the adders no gap. */
  static one<T>(s: usize, q: usize, keys: usize, count: i32, stride: usize, d: i32, unscale: f32): void {
    const end = q + (<usize> d << 2);
    const last = keys + <usize> (count - 1) * stride;
    for (let n = 0; n < count; n += 4) {
      let k0 = keys + <usize> n * stride;
      let k1 = min(k0 + stride, last);
      let k2 = min(k0 + 2 * stride, last);
      let k3 = min(k0 + 3 * stride, last);
      let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
      let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
      for (let x = q; x < end; x += 32) {
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
          a0 = Fused.plus(a0, qe, Kv.even<T>(x0));
          b0 = Fused.plus(b0, qo, Kv.odd<T>(x0));
          const x1 = v128.load(k1);
          a1 = Fused.plus(a1, qe, Kv.even<T>(x1));
          b1 = Fused.plus(b1, qo, Kv.odd<T>(x1));
          const x2 = v128.load(k2);
          a2 = Fused.plus(a2, qe, Kv.even<T>(x2));
          b2 = Fused.plus(b2, qo, Kv.odd<T>(x2));
          const x3 = v128.load(k3);
          a3 = Fused.plus(a3, qe, Kv.even<T>(x3));
          b3 = Fused.plus(b3, qo, Kv.odd<T>(x3));
        }
        k0 += sizeof<T>() << 3;
        k1 += sizeof<T>() << 3;
        k2 += sizeof<T>() << 3;
        k3 += sizeof<T>() << 3;
      }
      const sums = sums4(f32x4.add(a0, b0), f32x4.add(a1, b1), f32x4.add(a2, b2), f32x4.add(a3, b3));
      v128.store(s + (<usize> n << 2), f32x4.mul(sums, f32x4.splat(unscale)));
    }
  }

  /** Two tokens at once; H says how many heads. */
  static several<T, H>(
    s: usize,
    q: usize,
    keys: usize,
    count: i32,
    stride: usize,
    d: i32,
    unscale: f32,
  ): void {
    const heads = lengthof<H>();
    const step = <usize> heads << 5;
    const end = q + <usize> (d >> 3) * step;
    const last = keys + <usize> (count - 1) * stride;
    for (let n = 0; n < count; n += 2) {
      let k0 = keys + <usize> n * stride;
      let k1 = min(k0 + stride, last);
      let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
      let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
      for (let x = q; x < end; x += step) {
        let e0: v128, o0: v128, e1: v128, o1: v128;
        if (isFloat<T>()) {
          e0 = v128.load(k0), o0 = v128.load(k0, 16);
          e1 = v128.load(k1), o1 = v128.load(k1, 16);
        } else {
          const x0 = v128.load(k0);
          e0 = Kv.even<T>(x0), o0 = Kv.odd<T>(x0);
          const x1 = v128.load(k1);
          e1 = Kv.even<T>(x1), o1 = Kv.odd<T>(x1);
        }
        k0 += sizeof<T>() << 3;
        k1 += sizeof<T>() << 3;
        let w = v128.load(x);
        a0 = Fused.plus(a0, w, e0);
        b0 = Fused.plus(b0, w, e1);
        w = v128.load(x, 16);
        a0 = Fused.plus(a0, w, o0);
        b0 = Fused.plus(b0, w, o1);
        w = v128.load(x, 32);
        a1 = Fused.plus(a1, w, e0);
        b1 = Fused.plus(b1, w, e1);
        w = v128.load(x, 48);
        a1 = Fused.plus(a1, w, o0);
        b1 = Fused.plus(b1, w, o1);
        if (heads > 2) {
          w = v128.load(x, 64);
          a2 = Fused.plus(a2, w, e0);
          b2 = Fused.plus(b2, w, e1);
          w = v128.load(x, 80);
          a2 = Fused.plus(a2, w, o0);
          b2 = Fused.plus(b2, w, o1);
        }
        if (heads > 3) {
          w = v128.load(x, 96);
          a3 = Fused.plus(a3, w, e0);
          b3 = Fused.plus(b3, w, e1);
          w = v128.load(x, 112);
          a3 = Fused.plus(a3, w, o0);
          b3 = Fused.plus(b3, w, o1);
        }
      }
      if (heads < 3) a2 = a0, b2 = b0;
      if (heads < 4) a3 = a1, b3 = b1;
      const at = s + (<usize> n << 4);
      v128.store(at, f32x4.mul(sums4(a0, a1, a2, a3), f32x4.splat(unscale)));
      v128.store(at, f32x4.mul(sums4(b0, b1, b2, b3), f32x4.splat(unscale)), 16);
    }
  }
}

export function scores<T>(
  heads: i32,
  s: usize,
  q: usize,
  keys: usize,
  count: i32,
  stride: usize,
  d: i32,
  unscale: f32,
): void {
  if (heads == 1) Scores.one<T>(s, q, keys, count, stride, d, unscale);
  else if (heads == 2) Scores.several<T, Two>(s, q, keys, count, stride, d, unscale);
  else if (heads == 3) Scores.several<T, Three>(s, q, keys, count, stride, d, unscale);
  else Scores.several<T, Four>(s, q, keys, count, stride, d, unscale);
}
