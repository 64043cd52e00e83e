import { Four, Three, Two } from "./type_numbers";
import { Fused } from "./fused";
import { Kv } from "./kv_values";

/**
 * acc [heads, d] ← acc + Σ p·V over `count` tokens, for 1 to 4 query heads; p and the values as in `attend_scores.ts`, and acc keeps
 * the values' even and odd order.
 */
export class Values {
  /** Four rows at once, in order; p is 0 up to the next multiple of four. */
  static one<T>(acc: usize, p: usize, values: usize, count: i32, stride: usize, d: i32): void {
    const end = acc + (<usize> d << 2);
    const last = values + <usize> (count - 1) * stride;
    for (let n = 0; n < count; n += 4) {
      let v0 = values + <usize> n * stride;
      let v1 = min(v0 + stride, last);
      let v2 = min(v0 + 2 * stride, last);
      let v3 = min(v0 + 3 * stride, last);
      const weights = p + (<usize> n << 2);
      const p0 = v128.load32_splat(weights);
      const p1 = v128.load32_splat(weights, 4);
      const p2 = v128.load32_splat(weights, 8);
      const p3 = v128.load32_splat(weights, 12);
      for (let to = acc; to < end; to += 32) {
        let a = v128.load(to);
        let b = v128.load(to, 16);
        if (isFloat<T>()) {
          a = Fused.plus(a, p0, v128.load(v0));
          b = Fused.plus(b, p0, v128.load(v0, 16));
          a = Fused.plus(a, p1, v128.load(v1));
          b = Fused.plus(b, p1, v128.load(v1, 16));
          a = Fused.plus(a, p2, v128.load(v2));
          b = Fused.plus(b, p2, v128.load(v2, 16));
          a = Fused.plus(a, p3, v128.load(v3));
          b = Fused.plus(b, p3, v128.load(v3, 16));
        } else {
          const x0 = v128.load(v0);
          a = Fused.plus(a, p0, Kv.even<T>(x0));
          b = Fused.plus(b, p0, Kv.odd<T>(x0));
          const x1 = v128.load(v1);
          a = Fused.plus(a, p1, Kv.even<T>(x1));
          b = Fused.plus(b, p1, Kv.odd<T>(x1));
          const x2 = v128.load(v2);
          a = Fused.plus(a, p2, Kv.even<T>(x2));
          b = Fused.plus(b, p2, Kv.odd<T>(x2));
          const x3 = v128.load(v3);
          a = Fused.plus(a, p3, Kv.even<T>(x3));
          b = Fused.plus(b, p3, Kv.odd<T>(x3));
        }
        v128.store(to, a);
        v128.store(to, b, 16);
        v0 += sizeof<T>() << 3;
        v1 += sizeof<T>() << 3;
        v2 += sizeof<T>() << 3;
        v3 += sizeof<T>() << 3;
      }
    }
  }

  /** Sixteen columns at once under two heads, as eight would leave the adders waiting; the last eight of d where there are any. */
  static two<T>(acc: usize, p: usize, values: usize, count: i32, stride: usize, d: i32): void {
    const row = <usize> d << 2;
    const end = p + (<usize> count << 4);
    let to = acc;
    for (const last = acc + (<usize> (d & ~15) << 2); to < last; to += 64) {
      const other = to + row;
      let a0 = v128.load(to), b0 = v128.load(to, 16), c0 = v128.load(to, 32), d0 = v128.load(to, 48);
      let a1 = v128.load(other),
        b1 = v128.load(other, 16),
        c1 = v128.load(other, 32),
        d1 = v128.load(other, 48);
      let v = values;
      for (let x = p; x < end; x += 16) {
        const w0 = v128.load32_splat(x);
        const w1 = v128.load32_splat(x, 4);
        let even: v128, odd: v128;
        if (isFloat<T>()) {
          even = v128.load(v), odd = v128.load(v, 16);
        } else {
          const both = v128.load(v);
          even = Kv.even<T>(both), odd = Kv.odd<T>(both);
        }
        a0 = Fused.plus(a0, w0, even);
        b0 = Fused.plus(b0, w0, odd);
        a1 = Fused.plus(a1, w1, even);
        b1 = Fused.plus(b1, w1, odd);
        if (isFloat<T>()) {
          even = v128.load(v, 32), odd = v128.load(v, 48);
        } else {
          const both = v128.load(v, 16);
          even = Kv.even<T>(both), odd = Kv.odd<T>(both);
        }
        v += stride;
        c0 = Fused.plus(c0, w0, even);
        d0 = Fused.plus(d0, w0, odd);
        c1 = Fused.plus(c1, w1, even);
        d1 = Fused.plus(d1, w1, odd);
      }
      v128.store(to, a0);
      v128.store(to, b0, 16);
      v128.store(to, c0, 32);
      v128.store(to, d0, 48);
      v128.store(other, a1);
      v128.store(other, b1, 16);
      v128.store(other, c1, 32);
      v128.store(other, d1, 48);
      values += sizeof<T>() << 4;
    }
    if ((d & 8) != 0) Values.several<T, Two>(to, p, values, count, stride, row, 8);
  }

  /** Eight columns at once, their sums in registers; H says how many heads. */
  static several<T, H>(
    acc: usize,
    p: usize,
    values: usize,
    count: i32,
    stride: usize,
    row: usize,
    columns: i32,
  ): void {
    const heads = lengthof<H>();
    const end = p + (<usize> count << 4);
    for (let to = acc, last = acc + (<usize> columns << 2); to < last; to += 32) {
      const to1 = to + row, to2 = to1 + row, to3 = to2 + row;
      let a0 = v128.load(to), b0 = v128.load(to, 16);
      let a1 = v128.load(to1), b1 = v128.load(to1, 16);
      let a2 = a0, b2 = b0, a3 = a0, b3 = b0;
      if (heads > 2) a2 = v128.load(to2), b2 = v128.load(to2, 16);
      if (heads > 3) a3 = v128.load(to3), b3 = v128.load(to3, 16);
      let v = values;
      for (let x = p; x < end; x += 16) {
        let even: v128, odd: v128;
        if (isFloat<T>()) {
          even = v128.load(v), odd = v128.load(v, 16);
        } else {
          const both = v128.load(v);
          even = Kv.even<T>(both), odd = Kv.odd<T>(both);
        }
        v += stride;
        let w = v128.load32_splat(x);
        a0 = Fused.plus(a0, w, even);
        b0 = Fused.plus(b0, w, odd);
        w = v128.load32_splat(x, 4);
        a1 = Fused.plus(a1, w, even);
        b1 = Fused.plus(b1, w, odd);
        if (heads > 2) {
          w = v128.load32_splat(x, 8);
          a2 = Fused.plus(a2, w, even);
          b2 = Fused.plus(b2, w, odd);
        }
        if (heads > 3) {
          w = v128.load32_splat(x, 12);
          a3 = Fused.plus(a3, w, even);
          b3 = Fused.plus(b3, w, odd);
        }
      }
      v128.store(to, a0);
      v128.store(to, b0, 16);
      v128.store(to1, a1);
      v128.store(to1, b1, 16);
      if (heads > 2) {
        v128.store(to2, a2);
        v128.store(to2, b2, 16);
      }
      if (heads > 3) {
        v128.store(to3, a3);
        v128.store(to3, b3, 16);
      }
      values += sizeof<T>() << 3;
    }
  }
}

export function addValues<T>(
  heads: i32,
  acc: usize,
  p: usize,
  values: usize,
  count: i32,
  stride: usize,
  d: i32,
): void {
  if (heads == 1) Values.one<T>(acc, p, values, count, stride, d);
  else if (heads == 2) Values.two<T>(acc, p, values, count, stride, d);
  else if (heads == 3) Values.several<T, Three>(acc, p, values, count, stride, <usize> d << 2, d);
  else Values.several<T, Four>(acc, p, values, count, stride, <usize> d << 2, d);
}
