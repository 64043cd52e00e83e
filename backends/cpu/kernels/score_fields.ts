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
}
