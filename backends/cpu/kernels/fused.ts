/** a·b + sum, rounded once where the engine's relaxed product does so, else twice: the one step whose bits depend on the engine. */
export abstract class Fused {
  @inline
  static plus(sum: v128, a: v128, b: v128): v128 {
    if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, sum);
    return f32x4.add(sum, f32x4.mul(a, b));
  }
}
