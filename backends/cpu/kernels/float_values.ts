import { bf16Even, bf16Odd, f16Even, f16Odd } from "./half";

/**
 * Weights by their type parameter: f32, i16 for f16, u16 for bf16. Eight adjacent values are used as two vectors: of f32 the
 * first four and the last four, of the others the even and the odd ones, so that no lane has to move; x is laid out alike. f16
 * comes 2^-112 too small (`half.ts`): x is made 2^64 larger, so that neither products nor sums leave f32's range, and sums
 * are made 2^48 larger at last.
 */
export class Eight {
  @inline
  static low<T>(at: usize): v128 {
    if (isFloat<T>()) return v128.load(at);
    return Eight.even<T>(v128.load(at));
  }

  @inline
  static high<T>(at: usize): v128 {
    if (isFloat<T>()) return v128.load(at, 16);
    return Eight.odd<T>(v128.load(at));
  }

  @inline
  static even<T>(halves: v128): v128 {
    return isSigned<T>() ? f16Even(halves) : bf16Even(halves);
  }

  @inline
  static odd<T>(halves: v128): v128 {
    return isSigned<T>() ? f16Odd(halves) : bf16Odd(halves);
  }

  /** The last values of a row, `count` < 8 of them, zeros after them; `end` is where the row ends. */
  static lastLow<T>(end: usize, count: i32): v128 {
    if (isFloat<T>()) return last(end - (<usize> max(0, count - 4) << 2), min(4, count) << 2);
    return Eight.even<T>(last(end, count << 1));
  }

  static lastHigh<T>(end: usize, count: i32): v128 {
    if (isFloat<T>()) return last(end, max(0, count - 4) << 2);
    return Eight.odd<T>(last(end, count << 1));
  }

  @inline
  static xScale<T>(): f32 {
    return isFloat<T>() || !isSigned<T>() ? 1 : <f32> 18446744073709551616.0;
  }

  @inline
  static sumScale<T>(): f32 {
    return isFloat<T>() || !isSigned<T>() ? 1 : <f32> 281474976710656.0;
  }
}

/** The `bytes` ≤ 16 bytes before `end`, then zeros: no byte after `end` is read, where memory may end. */
function last(end: usize, bytes: i32): v128 {
  const places = i8x16.add(
    i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    i8x16.splat(<i8> (16 - bytes)),
  );
  return i8x16.swizzle(v128.load(end - 16), places);
}

/** The sums of the lanes of four vectors, each (l0 + l2) + (l1 + l3). */
export function sums4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/** The first `count` lanes plus those of the bias, which may be absent (0), to `out`. */
export function storeSums(out: usize, sums: v128, bias: usize, count: i32): void {
  if (count >= 4) {
    v128.store(out, bias == 0 ? sums : f32x4.add(sums, v128.load(bias)));
    return;
  }
  storeSum(out, f32x4.extract_lane(sums, 0), bias);
  if (count > 1) storeSum(out + 4, f32x4.extract_lane(sums, 1), bias == 0 ? 0 : bias + 4);
  if (count > 2) storeSum(out + 8, f32x4.extract_lane(sums, 2), bias == 0 ? 0 : bias + 8);
}

function storeSum(out: usize, sum: f32, bias: usize): void {
  store<f32>(out, bias == 0 ? sum : sum + load<f32>(bias));
}
