import { address, claim, int } from "./command";

/**
 * codes, qkv, channels, step, exponents, maxima, T, Hq, Hk, d, wide, narrow, isRelaxed: the int8 query of every head
 * (`core/importance.ts`) as vectors that meet the labels of four tokens, one per lane; its exponent; and maxima ← the least
 * i32. Codes of a head start C/2 vectors after those of the head before.
 */
export function quantiseQueries(command: usize): void {
  const codes = address(command, 0);
  const qkv = address(command, 1);
  const channels = address(command, 2);
  const step = address(command, 3);
  const exponents = address(command, 4);
  const maxima = address(command, 5);
  const T = int(command, 6);
  const Hq = int(command, 7);
  const Hk = int(command, 8);
  const d = int(command, 9);
  const wide = int(command, 10);
  const narrow = int(command, 11);
  const isRelaxed = int(command, 12) != 0;
  const C = wide + narrow;
  const g = Hq / Hk;
  for (let head = claim(command); head < T * Hq; head = claim(command)) {
    const t = head / Hq;
    const q = head % Hq;
    const query = qkv + (<usize> (t * (Hq + 2 * Hk) + q) * <usize> d << 2);
    const plan = <usize> (q / g * C) << 2;
    const to = codes + (<usize> head * <usize> C << 3);
    const exponent = queryExponent(query, channels + plan, step + plan, C);
    store<i32>(exponents + (<usize> head << 2), exponent == NONE ? 0 : exponent);
    store<i32>(maxima + (<usize> head << 2), i32.MIN_VALUE);
    for (let c = 0; c < C; c++) {
      const code = exponent == NONE ? 0 : codeOf(weight(query, channels + plan, step + plan, c), exponent);
      if (isRelaxed) spreadBytes(to, c, wide, narrow, code);
      else spreadPairs(to, c, wide, code);
    }
  }
}

/** No exponent. */
const NONE: i32 = i32.MIN_VALUE;

/** e with 64 ≤ max|w|·2^e < 128; NONE where no such power is. */
function queryExponent(query: usize, channels: usize, step: usize, C: i32): i32 {
  let largest: f32 = 0;
  for (let c = 0; c < C; c++) {
    const w = abs<f32>(weight(query, channels, step, c));
    if (w > largest) largest = w;
  }
  if (!(largest > 0 && largest < f32.MAX_VALUE * 2)) return NONE;
  let below = 0;
  if (reinterpret<u32>(largest) < 0x00800000) {
    largest *= 16777216;
    below = 24;
  }
  return 6 - (<i32> (reinterpret<u32>(largest) >>> 23) - 127 - below);
}

function weight(query: usize, channels: usize, step: usize, c: i32): f32 {
  const at = <usize> c << 2;
  return load<f32>(query + (<usize> load<u32>(channels + at) << 2)) * load<f32>(step + at);
}

/** clamp(roundHalfEven(w·2^exponent), ±127); 0 for a NaN. */
function codeOf(w: f32, exponent: i32): i32 {
  const scaled = <f64> w * reinterpret<f64>(<u64> (1023 + exponent) << 52);
  const rounded = nearest<f64>(scaled);
  if (!(rounded == rounded)) return 0;
  return <i32> max<f64>(-127, min<f64>(127, rounded));
}

/**
 * For the dot product of bytes. Of a wide word the vector of its even codes, then that of its odd ones; of every narrow
 * word the codes 4j and the codes 4j + 2; then, of every narrow word, the codes 4j + 1 and 4j + 3.
 */
function spreadBytes(to: usize, c: i32, wide: i32, narrow: i32, code: i32): void {
  let vector: i32;
  let byte: i32;
  if (c < wide) {
    vector = c / 8 * 2 + (c & 1);
    byte = (c & 7) >> 1;
  } else {
    const j = c - wide;
    vector = wide / 4 + j / 16 * 2 + ((j & 2) >> 1) + (j & 1) * (narrow / 8);
    byte = (j & 15) >> 2;
  }
  const at = to + (<usize> vector << 4) + byte;
  for (let lane: usize = 0; lane < 16; lane += 4) store<i8>(at + lane, <i8> code);
}

/**
 * For the dot product of 16-bit pairs, in units of 1/64. Of a wide word the codes (0, 4), (1, 5), (2, 6), (3, 7); of a narrow
 * one (0, 8) to (7, 15). A code that lies at a higher bit of its byte counts for more there, and its query for less here.
 */
function spreadPairs(to: usize, c: i32, wide: i32, code: i32): void {
  let vector: i32;
  let half: i32;
  let shift: i32;
  if (c < wide) {
    vector = c / 8 * 4 + (c & 3);
    half = (c & 7) >> 2;
    shift = 6 - 4 * (c & 1);
  } else {
    const j = c - wide;
    vector = wide / 2 + j / 16 * 8 + (j & 7);
    half = (j & 15) >> 3;
    shift = 6 - 2 * (j & 3);
  }
  const at = to + (<usize> vector << 4) + (<usize> half << 1);
  for (let lane: usize = 0; lane < 16; lane += 4) store<i16>(at + lane, <i16> (code << shift));
}
