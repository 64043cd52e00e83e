import { Fused } from "./fused";
import { EXP_CONSTANTS, POWER_CONSTANTS } from "./ops";

/** e^x of four values, to 2 units in the last place; 0 below -87, and no x may be above 88. No step depends on the engine. */
export function exp4(x: v128): v128 {
  // Added to 1.5·2^23 a value is rounded to an integer, ties to even, and stands in the low bits.
  const shifted = Fused.plus(v128.load(EXP_CONSTANTS, 176), x, v128.load(EXP_CONSTANTS));
  const n = f32x4.sub(shifted, v128.load(EXP_CONSTANTS, 176));
  let r = f32x4.sub(x, f32x4.mul(n, v128.load(EXP_CONSTANTS, 16)));
  r = f32x4.sub(r, f32x4.mul(n, v128.load(EXP_CONSTANTS, 32)));
  let p = v128.load(EXP_CONSTANTS, 48);
  p = Fused.plus(v128.load(EXP_CONSTANTS, 64), p, r);
  p = Fused.plus(v128.load(EXP_CONSTANTS, 80), p, r);
  p = Fused.plus(v128.load(EXP_CONSTANTS, 96), p, r);
  p = Fused.plus(v128.load(EXP_CONSTANTS, 112), p, r);
  p = Fused.plus(v128.load(EXP_CONSTANTS, 128), p, r);
  p = f32x4.add(Fused.plus(r, f32x4.mul(p, r), r), v128.load(EXP_CONSTANTS, 144));
  return v128.and(i32x4.add(p, i32x4.shl(shifted, 23)), f32x4.ge(x, v128.load(EXP_CONSTANTS, 160)));
}

/** e^x, the same bits as each lane of exp4. */
export function exp1(x: f32): f32 {
  return f32x4.extract_lane(exp4(f32x4.splat(x)), 0);
}

/** 2^x of four values, to 2^-22 of it, 2^0 exactly; 0 below -126, and no x may be above 127. Half the time of exp4. */
export function power4(x: v128): v128 {
  const shifted = f32x4.add(x, v128.load(POWER_CONSTANTS));
  const r = f32x4.sub(x, f32x4.sub(shifted, v128.load(POWER_CONSTANTS)));
  const square = f32x4.mul(r, r);
  const high = Fused.plus(v128.load(POWER_CONSTANTS, 64), v128.load(POWER_CONSTANTS, 80), r);
  const low = Fused.plus(v128.load(POWER_CONSTANTS, 32), v128.load(POWER_CONSTANTS, 48), r);
  let p = f32x4.mul(Fused.plus(low, high, square), square);
  p = f32x4.add(v128.load(POWER_CONSTANTS, 96), Fused.plus(p, v128.load(POWER_CONSTANTS, 16), r));
  return v128.and(i32x4.add(p, i32x4.shl(shifted, 23)), f32x4.ge(x, v128.load(POWER_CONSTANTS, 112)));
}
