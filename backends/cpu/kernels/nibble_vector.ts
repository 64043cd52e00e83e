import { Nibbles, Pairs } from "./nibbles";
import {
  DOT_PLAIN,
  DOT_RELAXED_16,
  DOT_RELAXED_32,
  F16_FACTOR,
  F16_MASK,
  NIBBLES_MASK,
  TILE_Q4_0,
  TILE_Q4_1,
} from "./ops";
import { finish, Tile } from "./tiles";
import { No, One, Two, Yes } from "./type_numbers";

/**
 * Eight rows of q4_0 or q4_1 times one row of activations, whose blocks lie one after the other, or for the relaxed dots in
 * entries whose block `order` tells: `codes` is codes16 for the plain dot; `extra` is scaledSum where the tiles have minima, else
 * centre. D is the dot, M whether tiles have minima.
 */
abstract class NibbleVector {
  static eight<D, M>(
    out: usize,
    tiles: usize,
    blocks: i32,
    codes: usize,
    scale: usize,
    extra: usize,
    order: usize,
    bias: usize,
    rows: i32,
  ): void {
    const dot = lengthof<D>();
    const hasMin = lengthof<M>() != 0;
    const mask = dot == DOT_PLAIN
      ? i16x8.splat(<i16> load<u8>(NIBBLES_MASK))
      : v128.load32_splat(NIBBLES_MASK);
    const halfMask = v128.load32_splat(F16_MASK);
    const factor = v128.load32_splat(F16_FACTOR);
    let sums0 = f32x4.splat(0);
    let sums1 = f32x4.splat(0);
    let tile = tiles;
    for (let b = 0; b < blocks; b++) {
      if (dot != DOT_PLAIN) {
        tile = tiles + <usize> load<u32>(order + (<usize> b << 2)) * (hasMin ? TILE_Q4_1 : TILE_Q4_0);
      }
      const at = tile + (hasMin ? 32 : 16);
      const start = hasMin ? i32x4.splat(0) : v128.load32_splat(extra);
      let dots0 = dot == DOT_RELAXED_16 ? i32x4.splat(0) : start;
      let dots1 = dots0;
      let x: v128, w: v128;
      if (dot == DOT_PLAIN) {
        w = v128.load(at, 0);
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 0), Pairs.lowEven(w, mask));
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 4), Pairs.lowOdd(w, mask));
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 32), Pairs.highEven(w, mask));
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 36), Pairs.highOdd(w, mask));
        w = v128.load(at, 16);
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 8), Pairs.lowEven(w, mask));
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 12), Pairs.lowOdd(w, mask));
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 40), Pairs.highEven(w, mask));
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 44), Pairs.highOdd(w, mask));
        w = v128.load(at, 32);
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 16), Pairs.lowEven(w, mask));
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 20), Pairs.lowOdd(w, mask));
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 48), Pairs.highEven(w, mask));
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 52), Pairs.highOdd(w, mask));
        w = v128.load(at, 48);
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 24), Pairs.lowEven(w, mask));
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 28), Pairs.lowOdd(w, mask));
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 56), Pairs.highEven(w, mask));
        dots0 = Pairs.plus(dots0, v128.load32_splat(codes, 60), Pairs.highOdd(w, mask));
        w = v128.load(at, 64);
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 0), Pairs.lowEven(w, mask));
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 4), Pairs.lowOdd(w, mask));
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 32), Pairs.highEven(w, mask));
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 36), Pairs.highOdd(w, mask));
        w = v128.load(at, 80);
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 8), Pairs.lowEven(w, mask));
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 12), Pairs.lowOdd(w, mask));
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 40), Pairs.highEven(w, mask));
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 44), Pairs.highOdd(w, mask));
        w = v128.load(at, 96);
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 16), Pairs.lowEven(w, mask));
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 20), Pairs.lowOdd(w, mask));
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 48), Pairs.highEven(w, mask));
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 52), Pairs.highOdd(w, mask));
        w = v128.load(at, 112);
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 24), Pairs.lowEven(w, mask));
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 28), Pairs.lowOdd(w, mask));
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 56), Pairs.highEven(w, mask));
        dots1 = Pairs.plus(dots1, v128.load32_splat(codes, 60), Pairs.highOdd(w, mask));
        codes += 64;
      } else {
        let y: v128;
        x = v128.load(codes);
        y = v128.load(codes, 16);
        w = v128.load(at, 0);
        dots0 = Nibbles.plus(dot, dots0, Nibbles.splat(x, 0), Nibbles.low(w, mask));
        dots0 = Nibbles.plus(dot, dots0, Nibbles.splat(y, 0), Nibbles.high(w, mask));
        w = v128.load(at, 16);
        dots0 = Nibbles.plus(dot, dots0, Nibbles.splat(x, 1), Nibbles.low(w, mask));
        dots0 = Nibbles.plus(dot, dots0, Nibbles.splat(y, 1), Nibbles.high(w, mask));
        w = v128.load(at, 32);
        dots0 = Nibbles.plus(dot, dots0, Nibbles.splat(x, 2), Nibbles.low(w, mask));
        dots0 = Nibbles.plus(dot, dots0, Nibbles.splat(y, 2), Nibbles.high(w, mask));
        w = v128.load(at, 48);
        dots0 = Nibbles.plus(dot, dots0, Nibbles.splat(x, 3), Nibbles.low(w, mask));
        dots0 = Nibbles.plus(dot, dots0, Nibbles.splat(y, 3), Nibbles.high(w, mask));
        w = v128.load(at, 64);
        dots1 = Nibbles.plus(dot, dots1, Nibbles.splat(x, 0), Nibbles.low(w, mask));
        dots1 = Nibbles.plus(dot, dots1, Nibbles.splat(y, 0), Nibbles.high(w, mask));
        w = v128.load(at, 80);
        dots1 = Nibbles.plus(dot, dots1, Nibbles.splat(x, 1), Nibbles.low(w, mask));
        dots1 = Nibbles.plus(dot, dots1, Nibbles.splat(y, 1), Nibbles.high(w, mask));
        w = v128.load(at, 96);
        dots1 = Nibbles.plus(dot, dots1, Nibbles.splat(x, 2), Nibbles.low(w, mask));
        dots1 = Nibbles.plus(dot, dots1, Nibbles.splat(y, 2), Nibbles.high(w, mask));
        w = v128.load(at, 112);
        dots1 = Nibbles.plus(dot, dots1, Nibbles.splat(x, 3), Nibbles.low(w, mask));
        dots1 = Nibbles.plus(dot, dots1, Nibbles.splat(y, 3), Nibbles.high(w, mask));
        codes += 32;
      }
      if (dot == DOT_RELAXED_16) {
        dots0 = i32x4.add(start, i32x4.extadd_pairwise_i16x8_s(dots0));
        dots1 = i32x4.add(start, i32x4.extadd_pairwise_i16x8_s(dots1));
      }
      const scales = v128.load(tile);
      x = v128.load32_splat(scale);
      if (hasMin) {
        const least = v128.load(tile, 16);
        const sum = v128.load32_splat(extra);
        sums0 = Tile.plusBoth(
          sums0,
          dots0,
          Tile.upper(scales, halfMask, factor),
          x,
          Tile.upper(least, halfMask, factor),
          sum,
        );
        sums1 = Tile.plusBoth(
          sums1,
          dots1,
          Tile.lower(scales, halfMask, factor),
          x,
          Tile.lower(least, halfMask, factor),
          sum,
        );
      } else {
        sums0 = Tile.plus(sums0, dots0, Tile.upper(scales, halfMask, factor), x);
        sums1 = Tile.plus(sums1, dots1, Tile.lower(scales, halfMask, factor), x);
      }
      if (dot == DOT_PLAIN) tile += hasMin ? TILE_Q4_1 : TILE_Q4_0;
      scale += 4;
      extra += 4;
    }
    finish(out, sums0, sums1, bias, rows);
  }
}

/** The same, `dot` and `hasMin` known only now. */
export function nibbleVector(
  dot: i32,
  hasMin: bool,
  out: usize,
  tile: usize,
  blocks: i32,
  codes: usize,
  scale: usize,
  extra: usize,
  order: usize,
  bias: usize,
  rows: i32,
): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (dot == DOT_RELAXED_16) {
      if (hasMin) {
        return NibbleVector.eight<One, Yes>(out, tile, blocks, codes, scale, extra, order, bias, rows);
      }
      return NibbleVector.eight<One, No>(out, tile, blocks, codes, scale, extra, order, bias, rows);
    }
    if (dot == DOT_RELAXED_32) {
      if (hasMin) {
        return NibbleVector.eight<Two, Yes>(out, tile, blocks, codes, scale, extra, order, bias, rows);
      }
      return NibbleVector.eight<Two, No>(out, tile, blocks, codes, scale, extra, order, bias, rows);
    }
  }
  if (hasMin) return NibbleVector.eight<No, Yes>(out, tile, blocks, codes, scale, extra, order, bias, rows);
  NibbleVector.eight<No, No>(out, tile, blocks, codes, scale, extra, order, bias, rows);
}
