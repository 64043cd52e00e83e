import { address, claim, int } from "./command";

/** Blocks per unit of work: some 2000 values. */
const RUN: i32 = 64;

/** Below it, x / scale could leave f32's range; a block this small counts as zero. */
const LEAST: f32 = 1e-30;

/**
 * codes, codes16 (0: none), scale, scaledSum, sums16, centre, x, R, I, rowPitch, blockPitch: x f32 [R, I] in blocks of 32 values.
 * Block b of row r is number i = r·rowPitch + b·blockPitch of every array: codes i8 [32], codes16 the same as i16 with each
 * four in the order 0, 2, 1, 3, scale f32 = max|x| / 127, scaledSum f32 = scale · Σ codes, sums16 i32 [2] = Σ of each half, centre i32 = -8 · Σ codes.
 */
export function quantiseRows(command: usize): void {
  const codes = address(command, 0);
  const codes16 = address(command, 1);
  const scales = address(command, 2);
  const scaledSums = address(command, 3);
  const sums16 = address(command, 4);
  const centre = address(command, 5);
  const x = address(command, 6);
  const R = int(command, 7);
  const I = int(command, 8);
  const rowPitch = <usize> int(command, 9);
  const blockPitch = <usize> int(command, 10);
  const blocks = (I + 31) / 32;
  const runs = (blocks + RUN - 1) / RUN;
  const units = R * runs;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const row = unit / runs;
    const first = (unit - row * runs) * RUN;
    const last = min(blocks, first + RUN);
    const from = x + (<usize> row * <usize> I << 2);
    for (let b = first; b < last; b++) {
      const i = <usize> row * rowPitch + <usize> b * blockPitch;
      const wide = codes16 == 0 ? <usize> 0 : codes16 + (i << 6);
      const sum = quantise(
        codes + (i << 5),
        wide,
        scales + (i << 2),
        sums16 + (i << 3),
        from + (<usize> b << 7),
        min(32, I - b * 32),
      );
      store<f32>(scaledSums + (i << 2), load<f32>(scales + (i << 2)) * <f32> sum);
      store<i32>(centre + (i << 2), -8 * sum);
    }
  }
}

/** Value 4·index and on of a block that has `count`; zeros after them. */
function four(x: usize, index: i32, count: i32): v128 {
  const first = index * 4;
  const at = x + (<usize> first << 2);
  if (first + 4 <= count) return v128.load(at);
  let values = f32x4.splat(0);
  if (first < count) values = f32x4.replace_lane(values, 0, load<f32>(at));
  if (first + 1 < count) values = f32x4.replace_lane(values, 1, load<f32>(at, 4));
  if (first + 2 < count) values = f32x4.replace_lane(values, 2, load<f32>(at, 8));
  return values;
}

function rounded(x: v128, inverse: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(x, inverse)));
}

function sumOf(codes: v128): i32 {
  const sums = i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(codes));
  return i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1) +
    (i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3));
}

/** Each four values in the order 0, 2, 1, 3. */
function crossed(codes: v128): v128 {
  return v128.shuffle<i16>(codes, codes, 0, 2, 1, 3, 4, 6, 5, 7);
}

/** One block; returns the sum of its codes. */
function quantise(codes: usize, codes16: usize, scaleAt: usize, sums16: usize, x: usize, count: i32): i32 {
  const x0 = four(x, 0, count), x1 = four(x, 1, count), x2 = four(x, 2, count), x3 = four(x, 3, count);
  const x4 = four(x, 4, count), x5 = four(x, 5, count), x6 = four(x, 6, count), x7 = four(x, 7, count);
  const m01 = f32x4.max(f32x4.abs(x0), f32x4.abs(x1)), m23 = f32x4.max(f32x4.abs(x2), f32x4.abs(x3));
  const m45 = f32x4.max(f32x4.abs(x4), f32x4.abs(x5)), m67 = f32x4.max(f32x4.abs(x6), f32x4.abs(x7));
  let m = f32x4.max(f32x4.max(m01, m23), f32x4.max(m45, m67));
  m = f32x4.max(m, v128.shuffle<i32>(m, m, 2, 3, 0, 1));
  const most = max<f32>(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1));
  const isZero = most < LEAST;
  const scale: f32 = isZero ? 0 : most / 127;
  const inverse = f32x4.splat(isZero ? 0 : 1 / scale);
  const a = i16x8.narrow_i32x4_s(rounded(x0, inverse), rounded(x1, inverse));
  const b = i16x8.narrow_i32x4_s(rounded(x2, inverse), rounded(x3, inverse));
  const c = i16x8.narrow_i32x4_s(rounded(x4, inverse), rounded(x5, inverse));
  const d = i16x8.narrow_i32x4_s(rounded(x6, inverse), rounded(x7, inverse));
  const low = i8x16.narrow_i16x8_s(a, b);
  const high = i8x16.narrow_i16x8_s(c, d);
  v128.store(codes, low);
  v128.store(codes, high, 16);
  if (codes16 != 0) {
    v128.store(codes16, crossed(a));
    v128.store(codes16, crossed(b), 16);
    v128.store(codes16, crossed(c), 32);
    v128.store(codes16, crossed(d), 48);
  }
  const sum0 = sumOf(low);
  const sum1 = sumOf(high);
  store<i32>(sums16, sum0);
  store<i32>(sums16, sum1, 4);
  store<f32>(scaleAt, scale);
  return sum0 + sum1;
}
