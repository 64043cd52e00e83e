import { HALF_MASKS } from "./ops";

/**
 * Eight half-precision values, as loaded, to f32: the even ones and the odd ones. bf16 is the upper half of an f32. f16 is
 * left 2^-112 of its value: whoever uses it multiplies by F16_SCALE somewhere, which is exact.
 */
export const F16_SCALE: f32 = 5.192296858534828e33; // 2^112

export function bf16Even(x: v128): v128 {
  return i32x4.shl(x, 16);
}

export function bf16Odd(x: v128): v128 {
  return v128.and(x, v128.load(HALF_MASKS, 16));
}

export function f16Even(x: v128): v128 {
  return v128.and(i32x4.shr_s(i32x4.shl(x, 16), 3), v128.load(HALF_MASKS));
}

export function f16Odd(x: v128): v128 {
  return v128.and(i32x4.shr_s(x, 3), v128.load(HALF_MASKS));
}

/** Four f16 values, at the bottom of eight, as f32 in order; exact, subnormals included, no infinities or NaN. */
export function f16ToF32(x: v128): v128 {
  const wide = i32x4.shl(i32x4.extend_low_i16x8_s(x), 13);
  return f32x4.mul(v128.and(wide, v128.load(HALF_MASKS)), f32x4.splat(F16_SCALE));
}

/** Four f32 values to bf16, ties to even, in the low halves of the lanes; no NaN. */
export function toBf16(x: v128): v128 {
  const odd = v128.and(i32x4.shr_u(x, 16), i32x4.splat(1));
  return i32x4.shr_u(i32x4.add(x, i32x4.add(odd, i32x4.splat(0x7fff))), 16);
}
