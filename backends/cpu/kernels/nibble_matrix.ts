import { Nibbles } from "./nibbles";
import { DOT_RELAXED_16, DOT_RELAXED_32, NIBBLES_MASK } from "./ops";
import { Tile } from "./tiles";
import { No, One, Two, Yes } from "./type_numbers";

/**
 * Adds 4 rows and 32 columns of nibbles, at `at`, times a block of each of `tokens` rows of activations to their sums, 32 bytes
 * apart; the weights stay in registers, the tokens stream by, two in a turn. `least` counts where there are minima (M); D is the dot; `extra` as in
 * `nibbleVector`.
 */
abstract class NibbleMatrix {
  static four<D, M>(
    sums: usize,
    at: usize,
    scales: v128,
    least: v128,
    tokens: i32,
    codes: usize,
    scale: usize,
    extra: usize,
  ): void {
    const dot = lengthof<D>();
    const hasMin = lengthof<M>() != 0;
    const mask = v128.load32_splat(NIBBLES_MASK);
    const p0 = v128.load(at), p1 = v128.load(at, 16), p2 = v128.load(at, 32), p3 = v128.load(at, 48);
    const w0 = Nibbles.low(p0, mask),
      w1 = Nibbles.low(p1, mask),
      w2 = Nibbles.low(p2, mask),
      w3 = Nibbles.low(p3, mask);
    const w4 = Nibbles.high(p0, mask),
      w5 = Nibbles.high(p1, mask),
      w6 = Nibbles.high(p2, mask),
      w7 = Nibbles.high(p3, mask);
    let low: v128, high: v128, dots: v128, x: v128, more: v128, before: v128;
    const end = scale + (<usize> (tokens & ~1) << 2);
    while (scale < end) {
      low = v128.load(codes);
      high = v128.load(codes, 16);
      dots = Nibbles.first(dot, Nibbles.splat(low, 0), w0);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(low, 1), w1);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(low, 2), w2);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(low, 3), w3);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(high, 0), w4);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(high, 1), w5);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(high, 2), w6);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(high, 3), w7);
      dots = Nibbles.total(dot, dots);
      x = v128.load32_splat(scale, 0);
      more = v128.load32_splat(extra, 0);
      before = v128.load(sums, 0);
      if (hasMin) v128.store(sums, Tile.plusBoth(before, dots, scales, x, least, more), 0);
      else v128.store(sums, Tile.plus(before, i32x4.add(dots, more), scales, x), 0);
      low = v128.load(codes, 32);
      high = v128.load(codes, 48);
      dots = Nibbles.first(dot, Nibbles.splat(low, 0), w0);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(low, 1), w1);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(low, 2), w2);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(low, 3), w3);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(high, 0), w4);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(high, 1), w5);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(high, 2), w6);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(high, 3), w7);
      dots = Nibbles.total(dot, dots);
      x = v128.load32_splat(scale, 4);
      more = v128.load32_splat(extra, 4);
      before = v128.load(sums, 32);
      if (hasMin) v128.store(sums, Tile.plusBoth(before, dots, scales, x, least, more), 32);
      else v128.store(sums, Tile.plus(before, i32x4.add(dots, more), scales, x), 32);
      codes += 64;
      scale += 8;
      extra += 8;
      sums += 64;
    }
    if (tokens & 1) {
      low = v128.load(codes);
      high = v128.load(codes, 16);
      dots = Nibbles.first(dot, Nibbles.splat(low, 0), w0);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(low, 1), w1);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(low, 2), w2);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(low, 3), w3);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(high, 0), w4);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(high, 1), w5);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(high, 2), w6);
      dots = Nibbles.plus(dot, dots, Nibbles.splat(high, 3), w7);
      dots = Nibbles.total(dot, dots);
      x = v128.load32_splat(scale, 0);
      more = v128.load32_splat(extra, 0);
      before = v128.load(sums, 0);
      if (hasMin) v128.store(sums, Tile.plusBoth(before, dots, scales, x, least, more), 0);
      else v128.store(sums, Tile.plus(before, i32x4.add(dots, more), scales, x), 0);
    }
  }
}

/** The same, `dot` and `hasMin` known only now. */
export function nibbleMatrix(
  dot: i32,
  hasMin: bool,
  sums: usize,
  at: usize,
  scales: v128,
  least: v128,
  tokens: i32,
  codes: usize,
  scale: usize,
  extra: usize,
): void {
  if (dot == DOT_RELAXED_16) {
    if (hasMin) return NibbleMatrix.four<One, Yes>(sums, at, scales, least, tokens, codes, scale, extra);
    return NibbleMatrix.four<One, No>(sums, at, scales, least, tokens, codes, scale, extra);
  }
  if (hasMin) return NibbleMatrix.four<Two, Yes>(sums, at, scales, least, tokens, codes, scale, extra);
  NibbleMatrix.four<Two, No>(sums, at, scales, least, tokens, codes, scale, extra);
}
