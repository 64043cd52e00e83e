import { Fused } from "./fused";
import { DECAY_CONSTANTS } from "./ops";

export class Decay {
  /** The i-th constant of `four` in every lane; a loop loads them once, as engines do not. */
  @inline
  static constant(i: usize): v128 {
    return v128.load32_splat(DECAY_CONSTANTS + (i << 2));
  }

  /**
   * 2^(z·rate) of four integers z ≥ 0, for a rate ≤ 0: to 3e-6, and 2^-23 more per unit that z·rate is below 0; 2^-126 for
   * what is less. z = 0 gives 1. The last arguments are the constants 0 to 6.
   */
  @inline
  static four(
    z: v128,
    rate: v128,
    least: v128,
    grid: v128,
    c4: v128,
    c3: v128,
    c2: v128,
    c1: v128,
    one: v128,
  ): v128 {
    const y = f32x4.pmax(f32x4.mul(f32x4.convert_i32x4_s(z), rate), least);
    // Added to 1.5·2^23 a value is rounded to the nearest integer, halves to even, in the low bits.
    const shifted = f32x4.add(y, grid);
    const r = f32x4.sub(y, f32x4.sub(shifted, grid));
    const p = Fused.plus(one, Fused.plus(c1, Fused.plus(c2, Fused.plus(c3, c4, r), r), r), r);
    return i32x4.add(p, i32x4.shl(shifted, 23));
  }

  /** As each lane of `four`. */
  static one(z: i32, rate: f32): f32 {
    const all = Decay.four(
      i32x4.splat(z),
      f32x4.splat(rate),
      Decay.constant(0),
      Decay.constant(1),
      Decay.constant(2),
      Decay.constant(3),
      Decay.constant(4),
      Decay.constant(5),
      Decay.constant(6),
    );
    return f32x4.extract_lane(all, 0);
  }

  /** The rate of a head: -log2(e)·2^-e/√d; `perUnit` is log2(e)/√d. */
  @inline
  static rate(perUnit: f32, exponent: i32): f32 {
    return <f32> (-<f64> perUnit * Decay.power(-exponent));
  }

  /** 2^n, for n from -1022 to 1023. */
  @inline
  static power(n: i32): f64 {
    return reinterpret<f64>(<u64> (1023 + n) << 52);
  }
}
