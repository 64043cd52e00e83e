/** The codes that lie at one place of every byte of label words; those of `high` count four times. */
export class Fields {
  @inline
  static wideEven(x: v128): v128 {
    return v128.and(x, i8x16.splat(0x0f));
  }

  @inline
  static wideOdd(x: v128): v128 {
    return v128.and(i32x4.shr_u(x, 4), i8x16.splat(0x0f));
  }

  @inline
  static low(x: v128): v128 {
    return v128.and(x, i8x16.splat(0x03));
  }

  @inline
  static high(x: v128): v128 {
    return v128.and(x, i8x16.splat(0x0c));
  }

  /** a + Q·codes, four bytes to a lane; no code is above 15, so that every engine's relaxed product is exact. */
  @inline
  static dot(query: usize, codes: v128, a: v128): v128 {
    return i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(query), codes, a);
  }
}
