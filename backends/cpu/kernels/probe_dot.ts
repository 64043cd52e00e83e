import { address } from "./command";

/**
 * out i32, codes, weights (16 bytes each): the first lane of the relaxed i32 dot. Weights above 127, for which its result is the
 * engine's choice, show which instruction it is.
 */
export function probeDot(command: usize, thread: i32): void {
  if (thread != 0) return;
  if (ASC_FEATURE_RELAXED_SIMD) {
    const codes = v128.load(address(command, 1));
    const weights = v128.load(address(command, 2));
    const dots = i32x4.relaxed_dot_i8x16_i7x16_add_s(codes, weights, i32x4.splat(0));
    store<i32>(address(command, 0), i32x4.extract_lane(dots, 0));
  } else {
    unreachable();
  }
}
