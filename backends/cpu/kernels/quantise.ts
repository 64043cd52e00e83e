import { address, claim, int } from "./command";

/** Below it, x / scale could leave f32's range; a block this small counts as zero. */
const LEAST: f32 = 1e-30;
/** A block gets a residual from so many times the mean square of its row's scales on. */
const OUTLYING: f32 = 3;

/**
 * codes, codes16 (0: none), scale, scaledSum, sums16, centre, x, R, I, rowPitch, blockPitch, most, limits (0: none): x f32 [R, I]
 * in blocks of 32 values. Block b of row r is number i = r·rowPitch + b·blockPitch of every array: codes i8 [32] (where
 * `most` is 127), codes16 the same as i16 with each four in the order 0, 2, 1, 3, scale f32 = max|x| / most, scaledSum f32 = scale · Σ codes,
 * sums16 i32 [2] = Σ of each half, centre i32 = -8 · Σ codes; limits f32 [R] as `outlying` has it.
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
  const most = <f32> int(command, 11);
  const limits = address(command, 12);
  const blocks = (I + 31) / 32;
  for (let row = claim(command); row < R; row = claim(command)) {
    const from = x + (<usize> row * <usize> I << 2);
    let squares: f32 = 0;
    for (let b = 0; b < blocks; b++) {
      const i = <usize> row * rowPitch + <usize> b * blockPitch;
      const sum = quantise(
        most > 127 ? 0 : codes + (i << 5),
        codes16 == 0 ? 0 : codes16 + (i << 6),
        scales + (i << 2),
        sums16 + (i << 3),
        from + (<usize> b << 7),
        min(32, I - b * 32),
        most,
      );
      const scale = load<f32>(scales + (i << 2));
      squares += scale * scale;
      store<f32>(scaledSums + (i << 2), scale * <f32> sum);
      store<i32>(centre + (i << 2), -8 * sum);
    }
    if (limits != 0) store<f32>(limits + (<usize> row << 2), outlying(squares, blocks));
  }
}

/** The square of a scale above which a block's rounding would dominate its row's: it gets its residual quantised too. */
export function outlying(squares: f32, blocks: i32): f32 {
  return squares * OUTLYING / <f32> blocks;
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

function sumOf(a: v128, b: v128): i32 {
  const sums = i32x4.add(i32x4.extadd_pairwise_i16x8_s(a), i32x4.extadd_pairwise_i16x8_s(b));
  return i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1) +
    (i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3));
}

/** |x|, as integers of the same order; a NaN is above all. */
function size(x: v128, mask: v128): v128 {
  return v128.and(x, mask);
}

/** Each four values in the order 0, 2, 1, 3. */
function crossed(codes: v128): v128 {
  return v128.shuffle<i16>(codes, codes, 0, 2, 1, 3, 4, 6, 5, 7);
}

/** max|x| / most of a block, 0 for one that counts as zero. */
export function scaleOf(x: usize, count: i32, most: f32): f32 {
  const mask = i32x4.splat(0x7fffffff);
  let m = size(four(x, 0, count), mask);
  for (let i = 1; i < 8; i++) m = i32x4.max_s(m, size(four(x, i, count), mask));
  return scaleFrom(m, most);
}

function scaleFrom(sizes: v128, most: f32): f32 {
  sizes = i32x4.max_s(sizes, v128.shuffle<i32>(sizes, sizes, 2, 3, 0, 1));
  sizes = i32x4.max_s(sizes, v128.shuffle<i32>(sizes, sizes, 1, 0, 3, 2));
  const largest = f32x4.extract_lane(sizes, 0);
  return largest < LEAST ? 0 : largest / most;
}

/** One block; `codes` and `codes16` may be 0. Returns the sum of its codes. */
export function quantise(
  codes: usize,
  codes16: usize,
  scaleAt: usize,
  sums16: usize,
  x: usize,
  count: i32,
  most: f32,
): i32 {
  const mask = i32x4.splat(0x7fffffff);
  const x0 = four(x, 0, count), x1 = four(x, 1, count), x2 = four(x, 2, count), x3 = four(x, 3, count);
  const x4 = four(x, 4, count), x5 = four(x, 5, count), x6 = four(x, 6, count), x7 = four(x, 7, count);
  const m01 = i32x4.max_s(size(x0, mask), size(x1, mask)), m23 = i32x4.max_s(size(x2, mask), size(x3, mask));
  const m45 = i32x4.max_s(size(x4, mask), size(x5, mask)), m67 = i32x4.max_s(size(x6, mask), size(x7, mask));
  const scale = scaleFrom(i32x4.max_s(i32x4.max_s(m01, m23), i32x4.max_s(m45, m67)), most);
  const inverse = f32x4.splat(scale == 0 ? 0 : 1 / scale);
  const a = i16x8.narrow_i32x4_s(rounded(x0, inverse), rounded(x1, inverse));
  const b = i16x8.narrow_i32x4_s(rounded(x2, inverse), rounded(x3, inverse));
  const c = i16x8.narrow_i32x4_s(rounded(x4, inverse), rounded(x5, inverse));
  const d = i16x8.narrow_i32x4_s(rounded(x6, inverse), rounded(x7, inverse));
  if (codes != 0) {
    v128.store(codes, i8x16.narrow_i16x8_s(a, b));
    v128.store(codes, i8x16.narrow_i16x8_s(c, d), 16);
  }
  if (codes16 != 0) {
    v128.store(codes16, crossed(a));
    v128.store(codes16, crossed(b), 16);
    v128.store(codes16, crossed(c), 32);
    v128.store(codes16, crossed(d), 48);
  }
  const sum0 = sumOf(a, b);
  const sum1 = sumOf(c, d);
  store<i32>(sums16, sum0);
  store<i32>(sums16, sum1, 4);
  store<f32>(scaleAt, scale);
  return sum0 + sum1;
}
