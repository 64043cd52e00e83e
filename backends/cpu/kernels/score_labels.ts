import { address, claim, int } from "./command";
import { labelWord } from "./label_layout";
import { DOT_PLAIN, SCORE_CHUNK } from "./ops";
import { Fields } from "./score_fields";
import { scoreFourWords, scoreTwoWords } from "./score_words";

/**
 * scores, maxima, codes, words, slots, positions, homes, T, Hq, Hk, S, wide, narrow, chunks, dot, room: every token's
 * Σ Q·code for the g heads of a KV head, and their maxima, which started at the least i32. `codes` is what QUANTISE_QUERIES
 * left; `room` is C·32 + 64 bytes per thread. A unit is SCORE_CHUNK tokens of one KV head of one row.
 */
export function scoreLabels(command: usize, thread: i32): void {
  const scores = address(command, 0);
  const maxima = address(command, 1);
  const codes = address(command, 2);
  const words = address(command, 3);
  const slots = address(command, 4);
  const positions = address(command, 5);
  const homes = address(command, 6);
  const T = int(command, 7);
  const Hq = int(command, 8);
  const Hk = int(command, 9);
  const S = int(command, 10);
  const wide = int(command, 11);
  const narrow = int(command, 12);
  const chunks = int(command, 13);
  const dot = int(command, 14);
  const isRelaxed = dot != DOT_PLAIN;
  const C = wide + narrow;
  const room = address(command, 15) + <usize> thread * (<usize> (C << 5) + 64);
  const W = wide / 8 + narrow / 16;
  const g = Hq / Hk;
  const pitch = <usize> C << 3;
  const units = T * Hk * chunks;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const t = unit / chunks / Hk;
    const h = unit / chunks % Hk;
    const first = unit % chunks * SCORE_CHUNK;
    const position = load<i32>(positions + (<usize> t << 2));
    if (first > position) continue;
    const place = <usize> (load<i32>(slots + (<usize> t << 2)) * Hk + h) * <usize> S;
    const head = t * Hq + h * g;
    const query = codes + <usize> head * pitch;
    const out = scores + (<usize> head * <usize> S << 2);
    const rowPitch = <usize> S << 2;
    // The row itself, which may live elsewhere, is scored with what is left over from fours.
    const last = min(first + SCORE_CHUNK, position);
    const whole = first + ((last - first) & ~3);
    const labels = labelWord(words, W, place + <usize> first, 0);
    const to = out + (<usize> first << 2);
    if (ASC_FEATURE_RELAXED_SIMD && isRelaxed && wide == 16 && narrow == 32) {
      scoreFourWords(dot, labels, whole - first, query, pitch, g, to, rowPitch);
    } else if (ASC_FEATURE_RELAXED_SIMD && isRelaxed && wide == 8 && narrow == 16) {
      scoreTwoWords(dot, labels, whole - first, query, pitch, g, to, rowPitch);
    } else {
      for (let n = first; n < whole; n += 16) {
        const count = min(16, whole - n);
        const at = labelWord(words, W, place + <usize> n, 0);
        for (let i = 0; i < count; i += 4) {
          const four = at + (<usize> (i * W) << 2);
          const next = <usize> W << 2;
          unpack(
            room + (<usize> i << 2),
            four,
            four + next,
            four + 2 * next,
            four + 3 * next,
            wide,
            narrow,
            isRelaxed,
          );
        }
        for (let i = 0; i < g; i++) {
          score16(room, query + <usize> i * pitch, wide, narrow, isRelaxed);
          const at = out + <usize> i * rowPitch + (<usize> n << 2);
          memory.copy(at, room + (<usize> C << 5), <usize> count << 2);
        }
      }
    }
    let own = 0;
    if (first + SCORE_CHUNK > position) {
      const self = labelWord(words, W, place + load<u32>(homes + (<usize> t << 2)), 0);
      const a0 = whole < position ? labelWord(words, W, place + <usize> whole, 0) : self;
      const a1 = whole + 1 < position ? labelWord(words, W, place + <usize> (whole + 1), 0) : self;
      const a2 = whole + 2 < position ? labelWord(words, W, place + <usize> (whole + 2), 0) : self;
      unpack(room, a0, a1, a2, self, wide, narrow, isRelaxed);
      own = position + 1 - whole;
      for (let i = 0; i < g; i++) {
        score16(room, query + <usize> i * pitch, wide, narrow, isRelaxed);
        const at = out + <usize> i * rowPitch + (<usize> whole << 2);
        memory.copy(at, room + (<usize> C << 5), <usize> own << 2);
      }
    }
    for (let i = 0; i < g; i++) {
      raise(maxima + (<usize> (head + i) << 2), largestOf(to + <usize> i * rowPitch, whole - first + own));
    }
  }
}

/** The largest of `count` > 0 values. */
function largestOf(at: usize, count: i32): i32 {
  const end = at + (<usize> count << 2);
  let largest = i32x4.splat(i32.MIN_VALUE);
  let other = largest;
  for (; at + 32 <= end; at += 32) {
    largest = i32x4.max_s(largest, v128.load(at));
    other = i32x4.max_s(other, v128.load(at, 16));
  }
  for (; at < end; at += 4) largest = i32x4.max_s(largest, v128.load32_splat(at));
  largest = i32x4.max_s(largest, other);
  return max(
    max(i32x4.extract_lane(largest, 0), i32x4.extract_lane(largest, 1)),
    max(i32x4.extract_lane(largest, 2), i32x4.extract_lane(largest, 3)),
  );
}

/** The largest of integers is the same whoever comes first. */
function raise(at: usize, value: i32): void {
  let seen = atomic.load<i32>(at);
  while (value > seen) {
    const found = atomic.cmpxchg<i32>(at, seen, value);
    if (found == seen) return;
    seen = found;
  }
}

/** The codes of four labels in the order of the queries' vectors, one token per lane; vectors of a kind lie 64 bytes apart. */
function unpack(
  to: usize,
  a0: usize,
  a1: usize,
  a2: usize,
  a3: usize,
  wide: i32,
  narrow: i32,
  isRelaxed: bool,
): void {
  let odd = to + (<usize> (wide / 4 + narrow / 8) << 6);
  const W = wide / 8 + narrow / 16;
  for (let w = 0; w < W; w++) {
    let x = v128.load32_zero(a0);
    x = v128.load_lane<u32>(a1, x, 1);
    x = v128.load_lane<u32>(a2, x, 2);
    x = v128.load_lane<u32>(a3, x, 3);
    a0 += 4, a1 += 4, a2 += 4, a3 += 4;
    if (isRelaxed) {
      if (w < wide / 8) {
        v128.store(to, Fields.wideEven(x));
        v128.store(to, Fields.wideOdd(x), 64);
      } else {
        const y = i32x4.shr_u(x, 4);
        v128.store(to, Fields.low(x));
        v128.store(to, Fields.low(y), 64);
        v128.store(odd, Fields.high(x));
        v128.store(odd, Fields.high(y), 64);
        odd += 128;
      }
      to += 128;
      continue;
    }
    const y = i32x4.shr_u(x, 8);
    if (w < wide / 8) {
      v128.store(to, v128.and(x, i16x8.splat(0x0f)));
      v128.store(to, v128.and(x, i16x8.splat(0xf0)), 64);
      v128.store(to, v128.and(y, i16x8.splat(0x0f)), 128);
      v128.store(to, v128.and(y, i16x8.splat(0xf0)), 192);
      to += 256;
    } else {
      v128.store(to, v128.and(x, i16x8.splat(0x03)));
      v128.store(to, v128.and(x, i16x8.splat(0x0c)), 64);
      v128.store(to, v128.and(x, i16x8.splat(0x30)), 128);
      v128.store(to, v128.and(x, i16x8.splat(0xc0)), 192);
      v128.store(to, v128.and(y, i16x8.splat(0x03)), 256);
      v128.store(to, v128.and(y, i16x8.splat(0x0c)), 320);
      v128.store(to, v128.and(y, i16x8.splat(0x30)), 384);
      v128.store(to, v128.and(y, i16x8.splat(0xc0)), 448);
      to += 512;
    }
  }
}

/** Sixteen scores of one head, behind the unpacked codes. */
function score16(room: usize, query: usize, wide: i32, narrow: i32, isRelaxed: bool): void {
  const C = wide + narrow;
  const to = room + (<usize> C << 5);
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (isRelaxed) {
      const plain = query + (<usize> (wide / 4 + narrow / 8) << 4);
      const end = query + (<usize> C << 2);
      let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
      for (; query < plain; query += 16, room += 64) {
        const q = v128.load(query);
        a0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v128.load(room), a0);
        a1 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v128.load(room, 16), a1);
        a2 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v128.load(room, 32), a2);
        a3 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v128.load(room, 48), a3);
      }
      for (; query < end; query += 16, room += 64) {
        const q = v128.load(query);
        b0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v128.load(room), b0);
        b1 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v128.load(room, 16), b1);
        b2 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v128.load(room, 32), b2);
        b3 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v128.load(room, 48), b3);
      }
      v128.store(to, i32x4.add(a0, i32x4.shr_s(b0, 2)));
      v128.store(to, i32x4.add(a1, i32x4.shr_s(b1, 2)), 16);
      v128.store(to, i32x4.add(a2, i32x4.shr_s(b2, 2)), 32);
      v128.store(to, i32x4.add(a3, i32x4.shr_s(b3, 2)), 48);
      return;
    }
  }
  const end = query + (<usize> C << 3);
  for (; query < end; query += 16, room += 64) {
    const q = v128.load(query);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, v128.load(room)));
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, v128.load(room, 16)));
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(q, v128.load(room, 32)));
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(q, v128.load(room, 48)));
  }
  v128.store(to, i32x4.shr_s(a0, 6));
  v128.store(to, i32x4.shr_s(a1, 6), 16);
  v128.store(to, i32x4.shr_s(a2, 6), 32);
  v128.store(to, i32x4.shr_s(a3, 6), 48);
}
