import { address, claim, int } from "./command";
import { f16ToF32 } from "./half";
import { labelWord } from "./label_layout";
import { BF16, F16, F32, storeValues } from "./store_halves";

/**
 * kv, qkv, slots, homes, rows, heads (Hq + 2·Hk), Hk, S, d, type, words (0: no labels), W, channels, zero, inverseStep, wide,
 * narrow: K and V of every row at its home, and the label of K.
 */
export function appendKv(command: usize): void {
  const kv = address(command, 0);
  const qkv = address(command, 1);
  const slots = address(command, 2);
  const homes = address(command, 3);
  const rows = int(command, 4);
  const heads = int(command, 5);
  const Hk = int(command, 6);
  const S = <usize> int(command, 7);
  const d = int(command, 8);
  const type = int(command, 9);
  const words = address(command, 10);
  const bytes: usize = <usize> d << (type == F32 ? 2 : 1);
  for (let row = claim(command); row < rows; row = claim(command)) {
    const slot = load<u32>(slots + (<usize> row << 2));
    const home = load<u32>(homes + (<usize> row << 2));
    for (let h = 0; h < Hk; h++) {
      const head = <usize> slot * <usize> Hk + <usize> h;
      const key = qkv + (<usize> ((row * heads + heads - 2 * Hk + h) * d) << 2);
      const value = key + (<usize> (Hk * d) << 2);
      const target = kv + (head * S + <usize> home) * 2 * bytes;
      storeValues(target, key, d, type);
      storeValues(target + bytes, value, d, type);
      if (words != 0) appendLabel(command, words, head * S, <usize> home, key, h);
    }
  }
}

/** Codes are clamp(roundHalfEven((K - zero) · inverseStep)), each operation rounded to f32. */
function appendLabel(command: usize, words: usize, first: usize, home: usize, key: usize, h: i32): void {
  const W = int(command, 11);
  const wide = int(command, 15);
  const narrow = int(command, 16);
  const offset = <usize> (h * (wide + narrow)) << 2;
  let channel = address(command, 12) + offset;
  let zero = address(command, 13) + offset;
  let inverse = address(command, 14) + offset;
  for (let w = 0; w < W; w++) {
    const isWide = w < wide >> 3;
    const codes = isWide ? 8 : 16;
    const bits = isWide ? 4 : 2;
    const largest: f32 = isWide ? 15 : 3;
    let word: u32 = 0;
    for (let j = 0; j < codes; j++) {
      const x = load<f32>(key + (<usize> load<u32>(channel) << 2));
      const rounded = nearest<f32>((x - load<f32>(zero)) * load<f32>(inverse));
      // A NaN has code 0.
      const code: u32 = rounded > largest ? <u32> largest : rounded > 0 ? <u32> rounded : 0;
      word |= code << (bits * j);
      channel += 4;
      zero += 4;
      inverse += 4;
    }
    store<u32>(labelWord(words, W, first + home, w), word);
  }
}

/**
 * kv, sums, head (slot · Hk of head 0), Hk, S, d, type, entries, entry: entry `entry` of the sums of V of each head, from the one
 * before and the 64 tokens after it. f64, rounded once.
 */
export function sumValues(command: usize): void {
  const kv = address(command, 0);
  const sums = address(command, 1);
  const firstHead = <usize> int(command, 2);
  const Hk = int(command, 3);
  const S = <usize> int(command, 4);
  const d = <usize> int(command, 5);
  const type = int(command, 6);
  const entries = <usize> int(command, 7);
  const entry = <usize> int(command, 8);
  const size: usize = type == F32 ? 4 : 2;
  for (let h = claim(command); h < Hk; h = claim(command)) {
    const head = firstHead + <usize> h;
    const known = sums + ((head * entries + entry - 1) * d << 2);
    const values = kv + ((head * S + (entry - 1) * 64) * 2 + 1) * d * size;
    for (let c: usize = 0; c < d; c++) {
      let sum = <f64> load<f32>(known + (c << 2));
      let at = values + c * size;
      for (let n = 0; n < 64; n++) {
        sum += <f64> loadValue(at, type);
        at += 2 * d * size;
      }
      store<f32>(known + ((d + c) << 2), <f32> sum);
    }
  }
}

function loadValue(at: usize, type: i32): f32 {
  if (type == F16) return f32x4.extract_lane(f16ToF32(v128.load16_splat(at)), 0);
  return type == BF16 ? reinterpret<f32>(load<u16>(at) << 16) : load<f32>(at);
}

/**
 * staging, kv, indices, counts, positions, slots, rows, Hk, S, K, row bytes (of K and V): the selected rows of the cache, but
 * the row itself.
 */
export function fetchRows(command: usize): void {
  const staging = address(command, 0);
  const kv = address(command, 1);
  const indices = address(command, 2);
  const counts = address(command, 3);
  const positions = address(command, 4);
  const slots = address(command, 5);
  const rows = int(command, 6);
  const Hk = int(command, 7);
  const S = <usize> int(command, 8);
  const K = <usize> int(command, 9);
  const bytes = <usize> int(command, 10);
  const units = rows * Hk;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const row = unit / Hk;
    const position = load<u32>(positions + (<usize> row << 2));
    const slot = load<u32>(slots + (<usize> row << 2));
    const source = kv + (<usize> slot * <usize> Hk + <usize> (unit % Hk)) * S * bytes;
    const list = <usize> unit * K;
    const count = <usize> load<u32>(counts + (<usize> unit << 2));
    for (let i: usize = 0; i < count; i++) {
      const n = load<u32>(indices + (list + i << 2));
      if (n != position) memory.copy(staging + (list + i) * bytes, source + <usize> n * bytes, bytes);
    }
  }
}
