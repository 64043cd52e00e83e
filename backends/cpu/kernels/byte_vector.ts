import { Pairs } from "./nibbles";
import { F16_FACTOR, F16_MASK, TILE_Q8_0 } from "./ops";
import { finish, Tile } from "./tiles";

/** Eight rows of q8_0 times one row of activations, whose blocks lie one after the other. */
export function byteVector(
  out: usize,
  tile: usize,
  blocks: i32,
  codes16: usize,
  scale: usize,
  bias: usize,
  rows: i32,
): void {
  const halfMask = v128.load32_splat(F16_MASK);
  const factor = v128.load32_splat(F16_FACTOR);
  let sums0 = f32x4.splat(0);
  let sums1 = f32x4.splat(0);
  for (let b = 0; b < blocks; b++) {
    let dots0 = i32x4.splat(0);
    let dots1 = i32x4.splat(0);
    let x: v128;
    x = v128.load32_splat(codes16, 0);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 16));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 144));
    x = v128.load32_splat(codes16, 4);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 24));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 152));
    x = v128.load32_splat(codes16, 8);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 32));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 160));
    x = v128.load32_splat(codes16, 12);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 40));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 168));
    x = v128.load32_splat(codes16, 16);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 48));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 176));
    x = v128.load32_splat(codes16, 20);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 56));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 184));
    x = v128.load32_splat(codes16, 24);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 64));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 192));
    x = v128.load32_splat(codes16, 28);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 72));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 200));
    x = v128.load32_splat(codes16, 32);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 80));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 208));
    x = v128.load32_splat(codes16, 36);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 88));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 216));
    x = v128.load32_splat(codes16, 40);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 96));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 224));
    x = v128.load32_splat(codes16, 44);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 104));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 232));
    x = v128.load32_splat(codes16, 48);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 112));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 240));
    x = v128.load32_splat(codes16, 52);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 120));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 248));
    x = v128.load32_splat(codes16, 56);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 128));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 256));
    x = v128.load32_splat(codes16, 60);
    dots0 = Pairs.plus(dots0, x, v128.load8x8_s(tile, 136));
    dots1 = Pairs.plus(dots1, x, v128.load8x8_s(tile, 264));
    const scales = v128.load(tile);
    x = v128.load32_splat(scale);
    sums0 = Tile.plus(sums0, dots0, Tile.upper(scales, halfMask, factor), x);
    sums1 = Tile.plus(sums1, dots1, Tile.lower(scales, halfMask, factor), x);
    tile += TILE_Q8_0;
    codes16 += 64;
    scale += 4;
  }
  finish(out, sums0, sums1, bias, rows);
}
