/** 1.5·2^23: adding it leaves the nearest integer in the low bits, halves to even. */
const GRID: f32 = 12582912;

export class Decay {
  /**
   * 2^(z·rate) of four integers z ≥ 0, for a rate ≤ 0: to 3e-7, and 2^-23 more per unit that z·rate is below 0; 2^-126 for
   * what is less. z = 0 gives 1. No step depends on the engine.
   */
  @inline
  static four(z: v128, rate: v128): v128 {
    const y = f32x4.max(f32x4.mul(f32x4.convert_i32x4_s(z), rate), f32x4.splat(-126));
    const grid = f32x4.add(y, f32x4.splat(GRID));
    const r = f32x4.sub(y, f32x4.sub(grid, f32x4.splat(GRID)));
    let p = f32x4.splat(1.3264727252583531e-3);
    p = f32x4.add(f32x4.mul(p, r), f32x4.splat(9.67151278577686e-3));
    p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.550733744471335e-2));
    p = f32x4.add(f32x4.mul(p, r), f32x4.splat(2.40222420831118e-1));
    p = f32x4.add(f32x4.mul(p, r), f32x4.splat(6.931469775976783e-1));
    p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1));
    return i32x4.add(p, i32x4.shl(grid, 23));
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
