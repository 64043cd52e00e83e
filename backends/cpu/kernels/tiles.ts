import { F16_SCALE, f16Even, f16Odd } from "./half";
import { Q4_0, Q4_1, TILE_Q4_0, TILE_Q4_1, TILE_Q8_0 } from "./ops";

/**
 * Weights in blocks are held in tiles of 8 rows and 32 columns, the tiles of 8 rows one after the other; N is filled up to
 * whole tiles with zeros. A tile is 8 f16 scales in the order of rows 0, 4, 1, 5, 2, 6, 3, 7, for q4_1 8 f16 minima in the
 * same order, then rows 0 to 3 and rows 4 to 7:
 *
 * - q4_0, q4_1: 4 times 16 bytes; in the j-th, byte 4·row + c holds column 4j + c in its low half, 16 + 4j + c in its high.
 * - q8_0: 8 times 2 times 8 bytes; in the j-th, columns 4j and 4j + 2 of each row, then columns 4j + 1 and 4j + 3.
 */
export abstract class Tile {
  @inline
  static bytes(dtype: i32): usize {
    return dtype == Q4_0 ? TILE_Q4_0 : dtype == Q4_1 ? TILE_Q4_1 : TILE_Q8_0;
  }

  /** Bytes before the codes. */
  @inline
  static header(dtype: i32): usize {
    return dtype == Q4_1 ? 32 : 16;
  }

  /** Scales, or minima, of rows 0 to 3, from all eight; `mask` and `factor` as F16_MASK and F16_FACTOR have them. */
  @inline
  static upper(halves: v128, mask: v128, factor: v128): v128 {
    return f32x4.mul(v128.and(i32x4.shr_s(i32x4.shl(halves, 16), 3), mask), factor);
  }

  /** Those of rows 4 to 7. */
  @inline
  static lower(halves: v128, mask: v128, factor: v128): v128 {
    return f32x4.mul(v128.and(i32x4.shr_s(halves, 3), mask), factor);
  }

  /** sum + dots · (w · x): how every kernel adds a block without minima, so that all round alike. */
  @inline
  static plus(sum: v128, dots: v128, w: v128, x: v128): v128 {
    return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(dots), f32x4.mul(w, x)));
  }

  /** sum + (dots · (w · x) + least · xSum): the same with minima. */
  @inline
  static plusBoth(sum: v128, dots: v128, w: v128, x: v128, least: v128, xSum: v128): v128 {
    const scaled = f32x4.mul(f32x4.convert_i32x4_s(dots), f32x4.mul(w, x));
    return f32x4.add(sum, f32x4.add(scaled, f32x4.mul(least, xSum)));
  }
}

/** out[0..rows) ← sums of 8 rows (+ bias). */
export function finish(out: usize, sums0: v128, sums1: v128, bias: usize, rows: i32): void {
  if (rows >= 8) {
    if (bias != 0) {
      sums0 = f32x4.add(sums0, v128.load(bias));
      sums1 = f32x4.add(sums1, v128.load(bias, 16));
    }
    v128.store(out, sums0);
    v128.store(out, sums1, 16);
    return;
  }
  for (let row = 0; row < rows; row++) {
    let sum = f32x4.extract_lane(sums0, 0);
    if (bias != 0) sum += load<f32>(bias + (<usize> row << 2));
    store<f32>(out + (<usize> row << 2), sum);
    sums0 = v128.shuffle<i32>(sums0, sums1, 1, 2, 3, 4);
    sums1 = v128.shuffle<i32>(sums1, sums1, 1, 2, 3, 3);
  }
}
