import { toBf16 } from "./half";

/** Types of K and V, as commands name them. */
export const F32: i32 = 0;
export const F16: i32 = 1;
export const BF16: i32 = 2;

/** Four f32 values to f16 in the low halves of the lanes, ties to even; overflow gives infinity, NaN stays NaN. */
function toF16(x: v128): v128 {
  const magnitude = v128.and(x, i32x4.splat(0x7fffffff));
  const sign = v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x8000));
  const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const rebias = i32x4.splat(0x0fff - (112 << 23));
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(magnitude, rebias), odd), 13);
  // 1/2 has the same last place as a subnormal half: the addition rounds there.
  const half = f32x4.splat(0.5);
  const subnormal = i32x4.sub(f32x4.add(magnitude, half), half);
  let bits = v128.bitselect(subnormal, normal, i32x4.lt_s(magnitude, i32x4.splat(0x38800000)));
  bits = v128.bitselect(i32x4.splat(0x7c00), bits, i32x4.ge_s(magnitude, i32x4.splat(0x477ff000)));
  bits = v128.bitselect(i32x4.splat(0x7e00), bits, i32x4.gt_s(magnitude, i32x4.splat(0x7f800000)));
  return v128.or(bits, sign);
}

function halves(x: v128, type: i32): v128 {
  if (type == F16) return toF16(x);
  const isNaN = i32x4.gt_s(v128.and(x, i32x4.splat(0x7fffffff)), i32x4.splat(0x7f800000));
  return v128.bitselect(i32x4.splat(0x7fc0), toBf16(x), isNaN);
}

/** `count` f32 values as `type`. */
export function storeValues(target: usize, source: usize, count: i32, type: i32): void {
  if (type == F32) {
    memory.copy(target, source, <usize> count << 2);
    return;
  }
  let i = 0;
  for (; i + 8 <= count; i += 8) {
    const from = source + (<usize> i << 2);
    const low = halves(v128.load(from), type);
    const high = halves(v128.load(from, 16), type);
    v128.store(target + (<usize> i << 1), i16x8.narrow_i32x4_u(low, high));
  }
  for (; i < count; i++) {
    const bits = halves(v128.load32_splat(source + (<usize> i << 2)), type);
    store<u16>(target + (<usize> i << 1), <u16> i32x4.extract_lane(bits, 0));
  }
}
