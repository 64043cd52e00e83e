import { address, claim, int } from "./command";
import { storeSums } from "./float_values";
import { DOT_PLAIN, DOT_RELAXED_32, Q4_K, Q4_K_TILE_BYTES, Q6_K_TILE_BYTES } from "./ops";
import { Bits, Dot, Rows } from "./wide_dot";
import {
  Q4_CODES,
  Q4_MINIMA,
  Q4_MINIMUM,
  Q4_SCALES,
  Q6_HIGH,
  Q6_LOW,
  Q6_SCALES,
  tileBytes,
} from "./wide_layout";
import { addFour, addSix, centre } from "./wide_rows";

/**
 * Arguments 0 to 12 as of `wideRows`, but a block of all rows of x is adjacent; then scratch, of each thread f32 [R, 8]. The same sums, bit for bit, for many rows of x: 32 columns of four rows of weights stay in
 * registers while all rows of x pass.
 */
export function wideTiles(command: usize, thread: i32): void {
  const dot = int(command, 8);
  if (dot == DOT_PLAIN) kindsOf<i16>(command, thread);
  else if (dot == DOT_RELAXED_32) kindsOf<i8>(command, thread);
  else kindsOf<u8>(command, thread);
}

function kindsOf<T>(command: usize, thread: i32): void {
  if (int(command, 7) == Q4_K) tilesOf<T, u8>(command, thread);
  else tilesOf<T, i8>(command, thread);
}

/** T as of `Dot`; K u8: q4_k, i8: q6_k. */
function tilesOf<T, K>(command: usize, thread: i32): void {
  const out = address(command, 0);
  const weight = address(command, 1);
  const bias = address(command, 2);
  const R = int(command, 3);
  const N = int(command, 4);
  const I = int(command, 5);
  const columns = int(command, 6);
  const codes = address(command, 9);
  const scale = address(command, 10);
  const scaledSum = address(command, 11);
  const sums16 = address(command, 12);
  const sums = address(command, 13) + (<usize> thread * <usize> R << 5);
  const runBytes = <usize> (I / 256) * tileBytes(int(command, 7));
  const tiles = (N + 7) / 8;
  // Eight blocks of all rows of x, as many as a tile meets.
  const blocks = <usize> R << 3;
  for (let tile = claim(command); tile < tiles; tile = claim(command)) {
    memory.fill(sums, 0, <usize> R << 5);
    let w = weight + <usize> tile * runBytes;
    const end = w + runBytes;
    for (let first: usize = 0; w < end; first += blocks) {
      const x = codes + (first << 5) * sizeof<T>();
      if (isSigned<K>()) {
        sixBits<T>(sums, w, x, scale + (first << 2), sums16 + (first << 3), R);
        w += Q6_K_TILE_BYTES;
      } else {
        fourBits<T>(sums, w, x, scale + (first << 2), scaledSum + (first << 2), R);
        w += Q4_K_TILE_BYTES;
      }
    }
    const n = tile * 8;
    const biases = bias == 0 ? 0 : bias + (<usize> n << 2);
    for (let r = 0; r < R; r++) {
      const to = out + (<usize> (r * columns + n) << 2);
      const from = sums + (<usize> r << 5);
      storeSums(to, v128.load(from), biases, N - n);
      if (N - n > 4) storeSums(to + 16, v128.load(from, 16), bias == 0 ? 0 : biases + 16, N - n - 4);
    }
  }
}

function fourBits<T>(sums: usize, w: usize, x: usize, scale: usize, scaledSum: usize, R: i32): void {
  const blocks = <usize> R;
  for (let group: usize = 0; group < 8; group++) {
    for (let half: usize = 0; half < 2; half++) {
      const at = w + Q4_CODES + ((group >> 1) << 8) + (half << 4);
      const step = f32x4.mul(Rows.halves(w, half), Rows.bytes(w + Q4_SCALES + (group << 3), half));
      const low = f32x4.mul(
        Rows.halves(w + Q4_MINIMUM, half),
        Rows.bytes(w + Q4_MINIMA + (group << 3), half),
      );
      streamFour<T>(sums + (half << 4), at, <i32> (group & 1) << 2, step, low, x, scale, scaledSum, R);
    }
    x += (blocks << 5) * sizeof<T>();
    scale += blocks << 2;
    scaledSum += blocks << 2;
  }
}

function streamFour<T>(
  sums: usize,
  at: usize,
  shift: i32,
  step: v128,
  low: v128,
  x: usize,
  scale: usize,
  scaledSum: usize,
  R: i32,
): void {
  const w0 = nibbles(at, shift), w1 = nibbles(at + 32, shift);
  const w2 = nibbles(at + 64, shift), w3 = nibbles(at + 96, shift);
  const w4 = nibbles(at + 128, shift), w5 = nibbles(at + 160, shift);
  const w6 = nibbles(at + 192, shift), w7 = nibbles(at + 224, shift);
  for (const end = sums + (<usize> R << 5); sums < end; sums += 32) {
    let dots = Dot.addAt<T>(i32x4.splat(0), w0, x);
    dots = Dot.addAt<T>(dots, w1, x + 4 * sizeof<T>());
    dots = Dot.addAt<T>(dots, w2, x + 8 * sizeof<T>());
    dots = Dot.addAt<T>(dots, w3, x + 12 * sizeof<T>());
    dots = Dot.addAt<T>(dots, w4, x + 16 * sizeof<T>());
    dots = Dot.addAt<T>(dots, w5, x + 20 * sizeof<T>());
    dots = Dot.addAt<T>(dots, w6, x + 24 * sizeof<T>());
    dots = Dot.addAt<T>(dots, w7, x + 28 * sizeof<T>());
    const s = v128.load32_splat(scale), ss = v128.load32_splat(scaledSum);
    v128.store(sums, addFour(v128.load(sums), Dot.whole<T>(dots), step, low, s, ss));
    x += 32 * sizeof<T>();
    scale += 4, scaledSum += 4;
  }
}

function nibbles(at: usize, shift: i32): v128 {
  return v128.and(i16x8.shr_u(v128.load(at), shift), i8x16.splat(0x0f));
}

function sixBits<T>(sums: usize, w: usize, x: usize, scale: usize, sums16: usize, R: i32): void {
  const blocks = <usize> R;
  for (let group: usize = 0; group < 8; group++) {
    const run = <i32> group & 3;
    for (let half: usize = 0; half < 2; half++) {
      const low = w + Q6_LOW + ((group >> 2) << 9) + ((group & 1) << 8) + (half << 4);
      const high = w + Q6_HIGH + ((group >> 2) << 8) + (half << 4);
      const scales = w + Q6_SCALES + (group << 4);
      streamSix<T>(
        sums + (half << 4),
        low,
        high,
        run,
        Rows.signedBytes(scales, half),
        Rows.signedBytes(scales + 8, half),
        Rows.halves(w, half),
        x,
        scale,
        sums16,
        R,
      );
    }
    x += (blocks << 5) * sizeof<T>();
    scale += blocks << 2;
    sums16 += blocks << 3;
  }
}

function streamSix<T>(
  sums: usize,
  low: usize,
  high: usize,
  run: i32,
  scale0: v128,
  scale1: v128,
  d: v128,
  x: usize,
  scale: usize,
  sums16: usize,
  R: i32,
): void {
  const w0 = sixes(low, high, run), w1 = sixes(low + 32, high + 32, run);
  const w2 = sixes(low + 64, high + 64, run), w3 = sixes(low + 96, high + 96, run);
  const w4 = sixes(low + 128, high + 128, run), w5 = sixes(low + 160, high + 160, run);
  const w6 = sixes(low + 192, high + 192, run), w7 = sixes(low + 224, high + 224, run);
  for (const end = sums + (<usize> R << 5); sums < end; sums += 32) {
    let a = Dot.addTwo<T>(centre(sums16), w0, x, w1, x + 4 * sizeof<T>());
    a = Dot.addTwo<T>(a, w2, x + 8 * sizeof<T>(), w3, x + 12 * sizeof<T>());
    let b = Dot.addTwo<T>(centre(sums16 + 4), w4, x + 16 * sizeof<T>(), w5, x + 20 * sizeof<T>());
    b = Dot.addTwo<T>(b, w6, x + 24 * sizeof<T>(), w7, x + 28 * sizeof<T>());
    const dots = i32x4.add(i32x4.mul(a, scale0), i32x4.mul(b, scale1));
    v128.store(sums, addSix(v128.load(sums), dots, d, v128.load32_splat(scale)));
    x += 32 * sizeof<T>();
    scale += 4, sums16 += 8;
  }
}

/** Codes 0 to 63 of run 0 to 3 of a half. */
function sixes(low: usize, high: usize, run: i32): v128 {
  const l = v128.and(i16x8.shr_u(v128.load(low), (run & 2) << 1), i8x16.splat(0x0f));
  const h = v128.and(i16x8.shr_u(v128.load(high), run << 1), i8x16.splat(0x03));
  return v128.or(l, i16x8.shl(h, 4));
}
