/** Scores of the default label layouts with every code in a register: relaxed dot products only. */
import { Nibbles } from "./nibbles";
import {
  DOT_RELAXED_16,
  DOT_RELAXED_32,
  HIGH_FIELDS_MASK,
  LOW_FIELDS_MASK,
  NIBBLES_MASK,
  PAIR_ONES,
} from "./ops";
import { One, Two } from "./type_numbers";

/**
 * The codes that lie at one place of every byte of label words, times a query's; those of `high` count four times. In i16, which
 * hold the sum of 12 dots of pairs: 127·2·(4·15 + 4·3 + 4·3) is below 2^15.
 */
class Words {
  @inline
  static plus(dot: i32, sums: v128, query: usize, codes: v128): v128 {
    return Nibbles.plus(dot, sums, v128.load(query), codes);
  }

  @inline
  static first(dot: i32, query: usize, codes: v128): v128 {
    return Nibbles.first(dot, v128.load(query), codes);
  }

  @inline
  static total(dot: i32, x: v128, y: v128, high: v128, ones: v128): v128 {
    if (dot == DOT_RELAXED_16) {
      const sums = i16x8.add(i16x8.add(x, y), i16x8.shr_s(high, 2));
      return i32x4.dot_i16x8_s(sums, ones);
    }
    return i32x4.add(i32x4.add(x, y), i32x4.shr_s(high, 2));
  }

  /** 16 channels of 4 bits and 32 of 2: four words a token. */
  static four<D>(
    labels: usize,
    count: i32,
    query: usize,
    pitch: usize,
    heads: i32,
    out: usize,
    outPitch: usize,
  ): void {
    const dot = lengthof<D>();
    const nibble = v128.load32_splat(NIBBLES_MASK);
    const low = v128.load32_splat(LOW_FIELDS_MASK);
    const high = v128.load32_splat(HIGH_FIELDS_MASK);
    const ones = v128.load32_splat(PAIR_ONES);
    const end = labels + (<usize> count << 4);
    for (; labels < end; labels += 64, out += 16) {
      const a = v128.load(labels);
      const b = v128.load(labels, 16);
      const c = v128.load(labels, 32);
      const d = v128.load(labels, 48);
      const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
      const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
      const ef = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
      const gh = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
      const w0 = v128.shuffle<i64>(ab, cd, 0, 2);
      const w1 = v128.shuffle<i64>(ab, cd, 1, 3);
      const w2 = v128.shuffle<i64>(ef, gh, 0, 2);
      const w3 = v128.shuffle<i64>(ef, gh, 1, 3);
      const p0 = Nibbles.low(w0, nibble), p1 = Nibbles.high(w0, nibble);
      const p2 = Nibbles.low(w1, nibble), p3 = Nibbles.high(w1, nibble);
      const s2 = i32x4.shr_u(w2, 4), s3 = i32x4.shr_u(w3, 4);
      const p4 = v128.and(w2, low), p5 = v128.and(s2, low), p6 = v128.and(w3, low), p7 = v128.and(s3, low);
      const p8 = v128.and(w2, high), p9 = v128.and(s2, high);
      const p10 = v128.and(w3, high), p11 = v128.and(s3, high);
      let q = query;
      let to = out;
      for (let i = 0; i < heads; i++, q += pitch, to += outPitch) {
        let x = Words.first(dot, q, p0);
        let y = Words.first(dot, q + 16, p1);
        let z = Words.first(dot, q + 128, p8);
        x = Words.plus(dot, x, q + 32, p2);
        y = Words.plus(dot, y, q + 48, p3);
        z = Words.plus(dot, z, q + 144, p9);
        x = Words.plus(dot, x, q + 64, p4);
        y = Words.plus(dot, y, q + 80, p5);
        z = Words.plus(dot, z, q + 160, p10);
        x = Words.plus(dot, x, q + 96, p6);
        y = Words.plus(dot, y, q + 112, p7);
        z = Words.plus(dot, z, q + 176, p11);
        v128.store(to, Words.total(dot, x, y, z, ones));
      }
    }
  }

  /** 8 channels of 4 bits and 16 of 2: two words a token. */
  static two<D>(
    labels: usize,
    count: i32,
    query: usize,
    pitch: usize,
    heads: i32,
    out: usize,
    outPitch: usize,
  ): void {
    const dot = lengthof<D>();
    const nibble = v128.load32_splat(NIBBLES_MASK);
    const low = v128.load32_splat(LOW_FIELDS_MASK);
    const high = v128.load32_splat(HIGH_FIELDS_MASK);
    const ones = v128.load32_splat(PAIR_ONES);
    const end = labels + (<usize> count << 3);
    for (; labels < end; labels += 32, out += 16) {
      const a = v128.load(labels);
      const b = v128.load(labels, 16);
      const w0 = v128.shuffle<i32>(a, b, 0, 2, 4, 6);
      const w1 = v128.shuffle<i32>(a, b, 1, 3, 5, 7);
      const p0 = Nibbles.low(w0, nibble), p1 = Nibbles.high(w0, nibble);
      const s1 = i32x4.shr_u(w1, 4);
      const p2 = v128.and(w1, low), p3 = v128.and(s1, low);
      const p4 = v128.and(w1, high), p5 = v128.and(s1, high);
      let q = query;
      let to = out;
      for (let i = 0; i < heads; i++, q += pitch, to += outPitch) {
        let x = Words.first(dot, q, p0);
        let y = Words.first(dot, q + 16, p1);
        let z = Words.first(dot, q + 64, p4);
        x = Words.plus(dot, x, q + 32, p2);
        y = Words.plus(dot, y, q + 48, p3);
        z = Words.plus(dot, z, q + 80, p5);
        v128.store(to, Words.total(dot, x, y, z, ones));
      }
    }
  }
}

/** As `Words.four`, `dot` known only now; `count` is a multiple of 4. */
export function scoreFourWords(
  dot: i32,
  labels: usize,
  count: i32,
  query: usize,
  pitch: usize,
  heads: i32,
  out: usize,
  outPitch: usize,
): void {
  if (dot == DOT_RELAXED_16) return Words.four<One>(labels, count, query, pitch, heads, out, outPitch);
  Words.four<Two>(labels, count, query, pitch, heads, out, outPitch);
}

/** As `Words.two`, `dot` known only now; `count` is a multiple of 4. */
export function scoreTwoWords(
  dot: i32,
  labels: usize,
  count: i32,
  query: usize,
  pitch: usize,
  heads: i32,
  out: usize,
  outPitch: usize,
): void {
  if (dot == DOT_RELAXED_16) return Words.two<One>(labels, count, query, pitch, heads, out, outPitch);
  Words.two<Two>(labels, count, query, pitch, heads, out, outPitch);
}
