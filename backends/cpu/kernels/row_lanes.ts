import { bf16Even, bf16Odd, F16_SCALE, f16Even, f16Odd } from "./half";

/**
 * Values of a cached row by their type parameter: f32, i16 for f16, u16 for bf16. Eight adjacent ones are two vectors: of f32 the
 * first and the last four, of the others the even and the odd ones, so that no lane has to move. f16 comes as `half.ts`
 * leaves it, 2^-112 of its value.
 */
export class Row {
  @inline
  static even<T>(x: v128): v128 {
    return isSigned<T>() ? f16Even(x) : bf16Even(x);
  }

  @inline
  static odd<T>(x: v128): v128 {
    return isSigned<T>() ? f16Odd(x) : bf16Odd(x);
  }

  /** One value, f16 scaled as the vectors are. */
  @inline
  static one<T>(at: usize): f32 {
    if (isFloat<T>()) return load<f32>(at);
    return f32x4.extract_lane(Row.even<T>(i32x4.splat(<i32> load<u16>(at))), 0);
  }

  /** What a sum of values is multiplied by in the end. */
  @inline
  static scale<T>(): f32 {
    return isFloat<T>() || !isSigned<T>() ? 1 : F16_SCALE;
  }
}

/** Half of the f16 scale, as an exponent: queries take the one half, finished logits the other, so that nothing overflows. */
export const F16_HALF_SCALE: f32 = 7.205759403792794e16; // 2^56

/** Four sums of four lanes each, as one vector. */
export function sumLanes(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}
