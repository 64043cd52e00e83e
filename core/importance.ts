/**
 * The integer rule that turns scores into importance (METHOD.md), the same on every device: a backend's own kernels
 * follow these definitions, and tests hold them to it.
 */
import { exp } from "./math.ts";

/** log2(e) */
const LOG2_E = 1.4426950408889634;
const LN_2 = 0.6931471805599453;

/** TABLE[f] = round(2^(24 - f/256)): importance in units of 2^-24. */
export const IMPORTANCE_TABLE: Readonly<Uint32Array> = Uint32Array.from(
  { length: 256 },
  (_, f) => Math.round(exp((24 - f / 256) * LN_2)),
);

/** y = z·multiplier >> shift for z = max - score; a negative shift goes left and saturates. */
export interface ImportanceScale {
  /** M, 2^13 ≤ M < 2^14. */
  readonly multiplier: number;
  /** s - 8. */
  readonly shift: number;
  /** multiplier · 2^-shift, 0 where the shift is 32 or more: y = ⌊z·perScore⌋, exact in f64. */
  readonly perScore: number;
}

/** M = round(log2(e)/√d · 2^(s - e)) with the s that makes it 14 bits; e is the query head's exponent. */
export function importanceScale(headDim: number, exponent: number): ImportanceScale {
  const perUnit = LOG2_E / Math.sqrt(headDim);
  let bits = 13;
  let scale = 2 ** 13;
  while (Math.round(perUnit * scale) < 2 ** 13) {
    scale *= 2;
    bits++;
  }
  while (Math.round(perUnit * scale) >= 2 ** 14) {
    scale /= 2;
    bits--;
  }
  const multiplier = Math.round(perUnit * scale);
  const shift = bits + exponent - 8;
  return { multiplier, shift, perScore: shift >= 32 ? 0 : multiplier * 2 ** -shift };
}

/** Importance of a token whose score is `z` ≥ 0 below the head's largest, in units of 2^-24: 0 to 2^24. */
export function importance(z: number, { perScore }: ImportanceScale): number {
  const y = Math.floor(z * perScore);
  return y >= 25 * 256 ? 0 : IMPORTANCE_TABLE[y & 255] >>> (y >> 8);
}

/**
 * The int8 query of one head: w = f32(q_c·step_c), the exponent e with 64 ≤ max|w|·2^e < 128 (0 where all are 0), and
 * Q_c = clamp(roundHalfEven(w·2^e), ±127) into `codes`.
 *
 * @param query f32 [d] at `base` of the array
 * @param channels i32 [C] at `channelBase` of `channels` and of `step`: the channel each code stands for
 * @returns e
 */
export function quantiseQuery(
  codes: Int32Array,
  query: Float32Array,
  base: number,
  channels: Int32Array,
  step: Float32Array,
  channelBase: number,
): number {
  let largest = 0;
  for (let c = 0; c < codes.length; c++) {
    const w = Math.abs(Math.fround(query[base + channels[channelBase + c]] * step[channelBase + c]));
    if (w > largest) largest = w;
  }
  if (!(largest > 0 && largest < Infinity)) {
    codes.fill(0);
    return 0;
  }
  const exponent = 6 - floorLog2(largest);
  const scale = 2 ** exponent;
  for (let c = 0; c < codes.length; c++) {
    const w = Math.fround(query[base + channels[channelBase + c]] * step[channelBase + c]);
    // 1.5·2^52 leaves no bit for a fraction, and the addition rounds halves to even.
    const rounded = w * scale + 6755399441055744 - 6755399441055744;
    codes[c] = rounded > 127 ? 127 : rounded < -127 ? -127 : rounded;
  }
  return exponent;
}

const bits = new DataView(new ArrayBuffer(4));

/** ⌊log2 x⌋ of a positive f32, from its exponent bits. */
function floorLog2(x: number): number {
  bits.setFloat32(0, x);
  const field = bits.getUint32(0) >>> 23;
  return field > 0 ? field - 127 : floorLog2(x * 2 ** 24) - 24;
}
