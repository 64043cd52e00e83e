/** Scores of the default label layouts with every code in a register: relaxed dot products only. */
import { Fields } from "./score_fields";

/** 16 channels of 4 bits and 32 of 2: four words a token. `count` is a multiple of 4. */
export function scoreDefault128(
  labels: usize,
  count: i32,
  query: usize,
  pitch: usize,
  heads: i32,
  out: usize,
  outPitch: usize,
): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
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
      const p0 = Fields.wideEven(w0), p1 = Fields.wideOdd(w0);
      const p2 = Fields.wideEven(w1), p3 = Fields.wideOdd(w1);
      const s2 = i32x4.shr_u(w2, 4), s3 = i32x4.shr_u(w3, 4);
      const p4 = Fields.low(w2), p5 = Fields.low(s2), p6 = Fields.low(w3), p7 = Fields.low(s3);
      const p8 = Fields.high(w2), p9 = Fields.high(s2), p10 = Fields.high(w3), p11 = Fields.high(s3);
      let q = query;
      let to = out;
      for (let i = 0; i < heads; i++, q += pitch, to += outPitch) {
        let x = i32x4.splat(0), y = x, z = x;
        x = Fields.dot(q, p0, x);
        y = Fields.dot(q + 16, p1, y);
        z = Fields.dot(q + 128, p8, z);
        x = Fields.dot(q + 32, p2, x);
        y = Fields.dot(q + 48, p3, y);
        z = Fields.dot(q + 144, p9, z);
        x = Fields.dot(q + 64, p4, x);
        y = Fields.dot(q + 80, p5, y);
        z = Fields.dot(q + 160, p10, z);
        x = Fields.dot(q + 96, p6, x);
        y = Fields.dot(q + 112, p7, y);
        z = Fields.dot(q + 176, p11, z);
        v128.store(to, i32x4.add(i32x4.add(x, y), i32x4.shr_s(z, 2)));
      }
    }
  }
}

/** 8 channels of 4 bits and 16 of 2: two words a token. */
export function scoreDefault64(
  labels: usize,
  count: i32,
  query: usize,
  pitch: usize,
  heads: i32,
  out: usize,
  outPitch: usize,
): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    const end = labels + (<usize> count << 3);
    for (; labels < end; labels += 32, out += 16) {
      const a = v128.load(labels);
      const b = v128.load(labels, 16);
      const w0 = v128.shuffle<i32>(a, b, 0, 2, 4, 6);
      const w1 = v128.shuffle<i32>(a, b, 1, 3, 5, 7);
      const p0 = Fields.wideEven(w0), p1 = Fields.wideOdd(w0);
      const s1 = i32x4.shr_u(w1, 4);
      const p2 = Fields.low(w1), p3 = Fields.low(s1);
      const p4 = Fields.high(w1), p5 = Fields.high(s1);
      let q = query;
      let to = out;
      for (let i = 0; i < heads; i++, q += pitch, to += outPitch) {
        let x = i32x4.splat(0), y = x, z = x;
        x = Fields.dot(q, p0, x);
        y = Fields.dot(q + 16, p1, y);
        z = Fields.dot(q + 64, p4, z);
        x = Fields.dot(q + 32, p2, x);
        y = Fields.dot(q + 48, p3, y);
        z = Fields.dot(q + 80, p5, z);
        v128.store(to, i32x4.add(i32x4.add(x, y), i32x4.shr_s(z, 2)));
      }
    }
  }
}
