import { f16ToF32 } from "./half";

/**
 * Exact sums of products of four activations with four columns of four rows of weights, in variants with the same results. T is
 * i8 or u8 where relaxed SIMD does it, with activations as bytes: i8 adds up in 32 bits, one instruction where the processor
 * has it (VNNI); u8 adds up in 16 bits first, which is quicker where it has not. T is i16 without relaxed SIMD, with
 * activations as 16 bits in the order 0, 2, 1, 3. Weights are bytes of 7 bits at most, as relaxed SIMD wants them.
 */
export class Dot {
  /** What `add` needs of the four activations at x. */
  @inline
  static first<T>(x: usize): v128 {
    return v128.load32_splat(x);
  }

  @inline
  static second<T>(x: usize): v128 {
    return sizeof<T>() == 1 ? i32x4.splat(0) : v128.load32_splat(x, 4);
  }

  /** Eight times 2·15·127 fits 16 bits: so many 4-bit codes may be added before `whole`. */
  @inline
  static add<T>(sum: v128, codes: v128, first: v128, second: v128): v128 {
    if (ASC_FEATURE_RELAXED_SIMD) {
      if (sizeof<T>() == 1 && isSigned<T>()) return i32x4.relaxed_dot_i8x16_i7x16_add_s(first, codes, sum);
      if (sizeof<T>() == 1) return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(first, codes));
    }
    const even = i32x4.dot_i16x8_s(first, v128.and(codes, i16x8.splat(0xff)));
    const odd = i32x4.dot_i16x8_s(second, i16x8.shr_u(codes, 8));
    return i32x4.add(sum, i32x4.add(even, odd));
  }

  /** What `add` left, as i32. */
  @inline
  static whole<T>(sum: v128): v128 {
    return sizeof<T>() == 1 && !isSigned<T>() ? i32x4.extadd_pairwise_i16x8_s(sum) : sum;
  }

  @inline
  static addAt<T>(sum: v128, codes: v128, x: usize): v128 {
    return Dot.add<T>(sum, codes, Dot.first<T>(x), Dot.second<T>(x));
  }

  /** i32 sum plus the products of two times four columns with the activations at x and at y; codes of 6 bits fit. */
  @inline
  static addTwo<T>(sum: v128, codes: v128, x: usize, codes2: v128, y: usize): v128 {
    if (sizeof<T>() == 1 && !isSigned<T>()) {
      return i32x4.add(sum, Dot.whole<T>(Dot.addAt<T>(Dot.addAt<T>(i32x4.splat(0), codes, x), codes2, y)));
    }
    return Dot.addAt<T>(Dot.addAt<T>(sum, codes, x), codes2, y);
  }
}

/** Codes out of bytes: lower nibbles, upper ones, and those of q6_k put together. */
export class Bits {
  @inline
  static low(x: v128): v128 {
    return v128.and(x, i8x16.splat(0x0f));
  }

  @inline
  static high(x: v128): v128 {
    return v128.and(i16x8.shr_u(x, 4), i8x16.splat(0x0f));
  }

  /** Nibbles with bits 2·run and 2·run + 1 of each byte of `upper` above them; run a constant. */
  @inline
  static six(nibbles: v128, upper: v128, run: i32): v128 {
    if (run == 0) upper = i16x8.shl(upper, 4);
    if (run == 1) upper = i16x8.shl(upper, 2);
    if (run == 3) upper = i16x8.shr_u(upper, 2);
    return v128.or(nibbles, v128.and(upper, i8x16.splat(0x30)));
  }
}

/** Four of eight f16 values, or bytes, as f32 or i32: those of rows 0 to 3 or, where half is 1, of rows 4 to 7. */
export class Rows {
  @inline
  static halves(at: usize, half: usize): v128 {
    return f16ToF32(v128.load64_zero(at + (half << 3)));
  }

  @inline
  static bytes(at: usize, half: usize): v128 {
    return f32x4.convert_i32x4_s(
      i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(at + (half << 2)))),
    );
  }

  @inline
  static signedBytes(at: usize, half: usize): v128 {
    return i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(at + (half << 2))));
  }
}
