import { bf16Even, bf16Odd, F16_SCALE, f16Even, f16Odd } from "./half";

/**
 * Cached values by their type parameter: f32, i16 for f16, u16 for bf16. Eight adjacent values are used as two vectors: of f32 the
 * first four and the last four, of the others the even and the odd ones, so that no lane has to move.
 */
export class Kv {
  /** Even values of a vector of halves; f16 as `half.ts` leaves them. */
  @inline
  static even<T>(x: v128): v128 {
    return isSigned<T>() ? f16Even(x) : bf16Even(x);
  }

  @inline
  static odd<T>(x: v128): v128 {
    return isSigned<T>() ? f16Odd(x) : bf16Odd(x);
  }

  /** Even values as they are, f16 scaled back. */
  @inline
  static trueEven<T>(x: v128): v128 {
    return isSigned<T>() ? f32x4.mul(f16Even(x), f32x4.splat(F16_SCALE)) : bf16Even(x);
  }

  @inline
  static trueOdd<T>(x: v128): v128 {
    return isSigned<T>() ? f32x4.mul(f16Odd(x), f32x4.splat(F16_SCALE)) : bf16Odd(x);
  }

  @inline
  static one<T>(at: usize): f32 {
    if (isFloat<T>()) return load<f32>(at);
    return f32x4.extract_lane(Kv.trueEven<T>(i32x4.splat(<i32> load<u16>(at))), 0);
  }
}

/** Four sums of four lanes each, as one vector. */
export function sums4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(
    v128.shuffle<f32>(a, b, 0, 4, 1, 5),
    v128.shuffle<f32>(a, b, 2, 6, 3, 7),
  );
  const cd = f32x4.add(
    v128.shuffle<f32>(c, d, 0, 4, 1, 5),
    v128.shuffle<f32>(c, d, 2, 6, 3, 7),
  );
  return f32x4.add(
    v128.shuffle<f32>(ab, cd, 0, 1, 4, 5),
    v128.shuffle<f32>(ab, cd, 2, 3, 6, 7),
  );
}

export function sum1(x: v128): f32 {
  return (f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1)) +
    (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3));
}

export function max1(x: v128): f32 {
  return max(
    max(f32x4.extract_lane(x, 0), f32x4.extract_lane(x, 1)),
    max(f32x4.extract_lane(x, 2), f32x4.extract_lane(x, 3)),
  );
}

/** Eight values kept as even and odd ones, to where they belong. */
export function storeInOrder<T>(to: usize, even: v128, odd: v128): void {
  if (isFloat<T>()) {
    v128.store(to, even);
    v128.store(to, odd, 16);
  } else {
    v128.store(to, v128.shuffle<f32>(even, odd, 0, 4, 1, 5));
    v128.store(to, v128.shuffle<f32>(even, odd, 2, 6, 3, 7), 16);
  }
}

/** The first `count` of eight values. */
export function storeColumns(to: usize, a: v128, b: v128, count: i32, isInOrder: bool): void {
  if (count == 8) {
    if (isInOrder) storeInOrder<f32>(to, a, b);
    else storeInOrder<i16>(to, a, b);
    return;
  }
  for (let c = 0; c < count; c++) {
    store<f32>(to + (<usize> c << 2), f32x4.extract_lane(a, 0));
    a = v128.shuffle<f32>(a, b, 1, 2, 3, 4);
    b = v128.shuffle<f32>(b, b, 1, 2, 3, 3);
  }
}
