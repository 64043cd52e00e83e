import { DOT_RELAXED_16 } from "./ops";

/** Dots of signed codes with weights from 0 to 15, by the relaxed instructions, which are exact for them. */
export abstract class Nibbles {
  @inline
  static low(packed: v128, mask: v128): v128 {
    return v128.and(packed, mask);
  }

  @inline
  static high(packed: v128, mask: v128): v128 {
    return v128.and(i32x4.shr_u(packed, 4), mask);
  }

  /** The i-th four codes in every lane. */
  @inline
  static splat(codes: v128, i: i32): v128 {
    if (i == 0) return v128.shuffle<i32>(codes, codes, 0, 0, 0, 0);
    if (i == 1) return v128.shuffle<i32>(codes, codes, 1, 1, 1, 1);
    if (i == 2) return v128.shuffle<i32>(codes, codes, 2, 2, 2, 2);
    return v128.shuffle<i32>(codes, codes, 3, 3, 3, 3);
  }

  /**
   * Adds the dots of each 4 bytes: to the i32 of their lane, or, as 32 columns of |127 · 15| stay below 2^15, to two i16 that
   * `total` adds up.
   */
  @inline
  static plus(dot: i32, sums: v128, codes: v128, weights: v128): v128 {
    if (ASC_FEATURE_RELAXED_SIMD) {
      if (dot == DOT_RELAXED_16) {
        return i16x8.add(sums, i16x8.relaxed_dot_i8x16_i7x16_s(codes, weights));
      }
      return i32x4.relaxed_dot_i8x16_i7x16_add_s(codes, weights, sums);
    }
    return unreachable();
  }

  /** As `plus`, from nothing. */
  @inline
  static first(dot: i32, codes: v128, weights: v128): v128 {
    if (ASC_FEATURE_RELAXED_SIMD) {
      if (dot == DOT_RELAXED_16) return i16x8.relaxed_dot_i8x16_i7x16_s(codes, weights);
      return i32x4.relaxed_dot_i8x16_i7x16_add_s(codes, weights, i32x4.splat(0));
    }
    return unreachable();
  }

  @inline
  static total(dot: i32, sums: v128): v128 {
    return dot == DOT_RELAXED_16 ? i32x4.extadd_pairwise_i16x8_s(sums) : sums;
  }
}

/** The same in i16: codes as `codes16` has them, each lane a pair of columns 4j and 4j + 2, or 4j + 1 and 4j + 3. */
export abstract class Pairs {
  @inline
  static lowEven(packed: v128, mask: v128): v128 {
    return v128.and(packed, mask);
  }

  @inline
  static lowOdd(packed: v128, mask: v128): v128 {
    return v128.and(i16x8.shr_u(packed, 8), mask);
  }

  @inline
  static highEven(packed: v128, mask: v128): v128 {
    return v128.and(i16x8.shr_u(packed, 4), mask);
  }

  @inline
  static highOdd(packed: v128, _mask: v128): v128 {
    return i16x8.shr_u(packed, 12);
  }

  @inline
  static plus(sums: v128, codes: v128, weights: v128): v128 {
    return i32x4.add(sums, i32x4.dot_i16x8_s(codes, weights));
  }
}
