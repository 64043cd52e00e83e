import { Pairs } from "./nibbles";
import { NIBBLES_MASK, Q4_0, Q4_1, Q8_0 } from "./ops";
import { Tile } from "./tiles";

/**
 * Adds 4 rows and 32 columns of codes, at `at`, times a block of each of `tokens` rows of activations to their sums, 32 bytes
 * apart: columns 0 to 15 of all tokens first, their dots kept in `dots`, i32 [tokens, 4], as 8 registers hold no more i16.
 */
export function pairMatrix(
  dtype: i32,
  sums: usize,
  at: usize,
  scales: v128,
  least: v128,
  tokens: i32,
  codes16: usize,
  scale: usize,
  extra: usize,
  room: usize,
): void {
  if (dtype == Q8_0) {
    firstHalf(
      v128.load8x8_s(at),
      v128.load8x8_s(at, 8),
      v128.load8x8_s(at, 16),
      v128.load8x8_s(at, 24),
      v128.load8x8_s(at, 32),
      v128.load8x8_s(at, 40),
      v128.load8x8_s(at, 48),
      v128.load8x8_s(at, 56),
      tokens,
      codes16,
      room,
    );
    secondHalf(
      v128.load8x8_s(at, 64),
      v128.load8x8_s(at, 72),
      v128.load8x8_s(at, 80),
      v128.load8x8_s(at, 88),
      v128.load8x8_s(at, 96),
      v128.load8x8_s(at, 104),
      v128.load8x8_s(at, 112),
      v128.load8x8_s(at, 120),
      tokens,
      codes16 + 32,
      room,
    );
  } else {
    const mask = i16x8.splat(<i16> load<u8>(NIBBLES_MASK));
    const p0 = v128.load(at), p1 = v128.load(at, 16), p2 = v128.load(at, 32), p3 = v128.load(at, 48);
    firstHalf(
      Pairs.lowEven(p0, mask),
      Pairs.lowOdd(p0, mask),
      Pairs.lowEven(p1, mask),
      Pairs.lowOdd(p1, mask),
      Pairs.lowEven(p2, mask),
      Pairs.lowOdd(p2, mask),
      Pairs.lowEven(p3, mask),
      Pairs.lowOdd(p3, mask),
      tokens,
      codes16,
      room,
    );
    secondHalf(
      Pairs.highEven(p0, mask),
      Pairs.highOdd(p0, mask),
      Pairs.highEven(p1, mask),
      Pairs.highOdd(p1, mask),
      Pairs.highEven(p2, mask),
      Pairs.highOdd(p2, mask),
      Pairs.highEven(p3, mask),
      Pairs.highOdd(p3, mask),
      tokens,
      codes16 + 32,
      room,
    );
  }
  scaled(dtype, sums, scales, least, tokens, scale, extra, room);
}

function firstHalf(
  w0: v128,
  w1: v128,
  w2: v128,
  w3: v128,
  w4: v128,
  w5: v128,
  w6: v128,
  w7: v128,
  tokens: i32,
  codes: usize,
  room: usize,
): void {
  const end = room + (<usize> tokens << 4);
  while (room < end) {
    let dots = i32x4.splat(0);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 0), w0);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 4), w1);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 8), w2);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 12), w3);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 16), w4);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 20), w5);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 24), w6);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 28), w7);
    v128.store(room, dots);
    codes += 64;
    room += 16;
  }
}

function secondHalf(
  w0: v128,
  w1: v128,
  w2: v128,
  w3: v128,
  w4: v128,
  w5: v128,
  w6: v128,
  w7: v128,
  tokens: i32,
  codes: usize,
  room: usize,
): void {
  const end = room + (<usize> tokens << 4);
  while (room < end) {
    let dots = v128.load(room);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 0), w0);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 4), w1);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 8), w2);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 12), w3);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 16), w4);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 20), w5);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 24), w6);
    dots = Pairs.plus(dots, v128.load32_splat(codes, 28), w7);
    v128.store(room, dots);
    codes += 64;
    room += 16;
  }
}

function scaled(
  dtype: i32,
  sums: usize,
  scales: v128,
  least: v128,
  tokens: i32,
  scale: usize,
  extra: usize,
  room: usize,
): void {
  const end = room + (<usize> tokens << 4);
  while (room < end) {
    let dots = v128.load(room);
    const before = v128.load(sums);
    const x = v128.load32_splat(scale);
    if (dtype == Q4_1) {
      v128.store(sums, Tile.plusBoth(before, dots, scales, x, least, v128.load32_splat(extra)));
    } else {
      if (dtype == Q4_0) dots = i32x4.add(dots, v128.load32_splat(extra));
      v128.store(sums, Tile.plus(before, dots, scales, x));
    }
    sums += 32;
    scale += 4;
    extra += 4;
    room += 16;
  }
}
