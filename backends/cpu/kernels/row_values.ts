import { Four, No, One, Three, Two, Yes } from "./type_numbers";
import { Fused } from "./fused";
import { Row } from "./row_lanes";

/**
 * total [heads, `pitch` bytes] ← total + Σ weight·V over `count` rows, whose K lie where `rows` lists them and whose V lie `skip`
 * bytes further, for 1 to 4 query heads; plain ← plain + Σ V, unless it is 0. Weights as `row_logits.ts` leaves logits, 0 up to a
 * multiple of four rows; values keep the rows' order of lanes. Columns of eight, their sums in registers; H says how many heads, A whether Σ V is wanted.
 */
export class RowValues {
  static columns<T, H, A>(
    total: usize,
    pitch: usize,
    plain: usize,
    weights: usize,
    rows: usize,
    count: i32,
    skip: usize,
    d: i32,
  ): void {
    const heads = lengthof<H>();
    const isSummed = lengthof<A>() != 0;
    const end = rows + (<usize> count << 2);
    const columns = <usize> (d & ~7) << 2;
    const step: usize = heads == 1 ? 4 : 16;
    for (let c: usize = 0; c < columns; c += 32) {
      const to0 = total + c, to1 = to0 + pitch, to2 = to1 + pitch, to3 = to2 + pitch;
      let a0 = v128.load(to0), b0 = v128.load(to0, 16);
      let a1 = a0, b1 = b0, a2 = a0, b2 = b0, a3 = a0, b3 = b0, as = a0, bs = b0;
      if (heads > 1) a1 = v128.load(to1), b1 = v128.load(to1, 16);
      if (heads > 2) a2 = v128.load(to2), b2 = v128.load(to2, 16);
      if (heads > 3) a3 = v128.load(to3), b3 = v128.load(to3, 16);
      if (isSummed) as = v128.load(plain + c), bs = v128.load(plain + c, 16);
      let x = weights;
      for (let at = rows; at < end; at += 4, x += step) {
        const v = <usize> load<u32>(at) + skip;
        let even: v128, odd: v128;
        if (isFloat<T>()) {
          even = v128.load(v), odd = v128.load(v, 16);
        } else {
          const both = v128.load(v);
          even = Row.even<T>(both), odd = Row.odd<T>(both);
        }
        if (isSummed) as = f32x4.add(as, even), bs = f32x4.add(bs, odd);
        let w = v128.load32_splat(x);
        a0 = Fused.plus(a0, w, even);
        b0 = Fused.plus(b0, w, odd);
        if (heads > 1) {
          w = v128.load32_splat(x, 4);
          a1 = Fused.plus(a1, w, even);
          b1 = Fused.plus(b1, w, odd);
        }
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
      v128.store(to0, a0), v128.store(to0, b0, 16);
      if (heads > 1) v128.store(to1, a1), v128.store(to1, b1, 16);
      if (heads > 2) v128.store(to2, a2), v128.store(to2, b2, 16);
      if (heads > 3) v128.store(to3, a3), v128.store(to3, b3, 16);
      if (isSummed) v128.store(plain + c, as), v128.store(plain + c, bs, 16);
      skip += sizeof<T>() << 3;
    }
    for (let c = columns; c < <usize> d << 2; c += 4) {
      let x = weights;
      for (let at = rows; at < end; at += 4, x += step) {
        const v = Row.one<T>(<usize> load<u32>(at) + skip);
        for (let i: usize = 0, to = total + c; i < <usize> heads; i++, to += pitch) {
          store<f32>(to, load<f32>(to) + load<f32>(x + (i << 2)) * v);
        }
        if (isSummed) store<f32>(plain + c, load<f32>(plain + c) + v);
      }
      skip += sizeof<T>();
    }
  }

  /** One head: four rows at once, in order, the sums in memory. */
  static rowByRow<T, A>(
    total: usize,
    plain: usize,
    weights: usize,
    rows: usize,
    count: i32,
    skip: usize,
    d: i32,
  ): void {
    const isSummed = lengthof<A>() != 0;
    const columns = <usize> (d & ~7) << 2;
    let n = 0;
    for (; n + 4 <= count; n += 4, rows += 16, weights += 16) {
      let v0 = <usize> load<u32>(rows) + skip;
      let v1 = <usize> load<u32>(rows, 4) + skip;
      let v2 = <usize> load<u32>(rows, 8) + skip;
      let v3 = <usize> load<u32>(rows, 12) + skip;
      const w0 = v128.load32_splat(weights);
      const w1 = v128.load32_splat(weights, 4);
      const w2 = v128.load32_splat(weights, 8);
      const w3 = v128.load32_splat(weights, 12);
      for (let c: usize = 0; c < columns; c += 32) {
        let e0: v128, o0: v128, e1: v128, o1: v128, e2: v128, o2: v128, e3: v128, o3: v128;
        if (isFloat<T>()) {
          e0 = v128.load(v0), o0 = v128.load(v0, 16);
          e1 = v128.load(v1), o1 = v128.load(v1, 16);
          e2 = v128.load(v2), o2 = v128.load(v2, 16);
          e3 = v128.load(v3), o3 = v128.load(v3, 16);
        } else {
          const x0 = v128.load(v0);
          e0 = Row.even<T>(x0), o0 = Row.odd<T>(x0);
          const x1 = v128.load(v1);
          e1 = Row.even<T>(x1), o1 = Row.odd<T>(x1);
          const x2 = v128.load(v2);
          e2 = Row.even<T>(x2), o2 = Row.odd<T>(x2);
          const x3 = v128.load(v3);
          e3 = Row.even<T>(x3), o3 = Row.odd<T>(x3);
        }
        v0 += sizeof<T>() << 3, v1 += sizeof<T>() << 3, v2 += sizeof<T>() << 3, v3 += sizeof<T>() << 3;
        const to = total + c;
        const ab = Fused.plus(f32x4.mul(w0, e0), w1, e1);
        const cd = Fused.plus(f32x4.mul(w2, e2), w3, e3);
        v128.store(to, f32x4.add(v128.load(to), f32x4.add(ab, cd)));
        const ef = Fused.plus(f32x4.mul(w0, o0), w1, o1);
        const gh = Fused.plus(f32x4.mul(w2, o2), w3, o3);
        v128.store(to, f32x4.add(v128.load(to, 16), f32x4.add(ef, gh)), 16);
        if (isSummed) {
          const also = plain + c;
          const even = f32x4.add(f32x4.add(e0, e1), f32x4.add(e2, e3));
          const odd = f32x4.add(f32x4.add(o0, o1), f32x4.add(o2, o3));
          v128.store(also, f32x4.add(v128.load(also), even));
          v128.store(also, f32x4.add(v128.load(also, 16), odd), 16);
        }
      }
    }
    if (n < count) RowValues.columns<T, One, A>(total, 0, plain, weights, rows, count - n, skip, d & ~7);
    if ((d & 7) != 0) {
      const done = <usize> n << 2;
      const rest = columns >> 2;
      const more = skip + rest * sizeof<T>();
      RowValues.columns<T, One, A>(
        total + columns,
        0,
        plain + columns,
        weights - done,
        rows - done,
        count,
        more,
        d & 7,
      );
    }
  }
}

export function addRowValues<T>(
  heads: i32,
  total: usize,
  pitch: usize,
  plain: usize,
  weights: usize,
  rows: usize,
  count: i32,
  skip: usize,
  d: i32,
): void {
  if (plain == 0) {
    if (heads == 1) RowValues.rowByRow<T, No>(total, plain, weights, rows, count, skip, d);
    else if (heads == 2) RowValues.columns<T, Two, No>(total, pitch, plain, weights, rows, count, skip, d);
    else if (heads == 3) RowValues.columns<T, Three, No>(total, pitch, plain, weights, rows, count, skip, d);
    else RowValues.columns<T, Four, No>(total, pitch, plain, weights, rows, count, skip, d);
  } else {
    if (heads == 1) RowValues.rowByRow<T, Yes>(total, plain, weights, rows, count, skip, d);
    else if (heads == 2) RowValues.columns<T, Two, Yes>(total, pitch, plain, weights, rows, count, skip, d);
    else if (heads == 3) RowValues.columns<T, Three, Yes>(total, pitch, plain, weights, rows, count, skip, d);
    else RowValues.columns<T, Four, Yes>(total, pitch, plain, weights, rows, count, skip, d);
  }
}
