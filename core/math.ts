/**
 * exp, log, pow, sin and cos in plain f64 arithmetic (+ - * / and exact steps only): JavaScript engines differ in the
 * last bits of their own, and whatever reaches a model's output or a calibration has to be the same bits everywhere.
 */

/** 2^k for k = -1022 .. 1023, at k + 1022. */
const POWERS_OF_TWO = new Float64Array(2046);
POWERS_OF_TWO[1022] = 1;
for (let k = 1; k <= 1023; k++) POWERS_OF_TWO[1022 + k] = POWERS_OF_TWO[1021 + k] * 2;
for (let k = 1; k <= 1022; k++) POWERS_OF_TWO[1022 - k] = POWERS_OF_TWO[1023 - k] / 2;

// ln 2 in two parts: the first is short enough that its product with any exponent is exact.
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

// ln 2 / 64 in the same way.
const STEP_HIGH = 0.010830424682353623;
const STEP_LOW = 1.3895522248260433e-11;
const STEPS_PER_UNIT = 92.33248261689366;

/** 2^(i/64). */
const ROOTS = new Float64Array(64);
for (let i = 0; i < 64; i++) {
  const x = i * (STEP_HIGH + STEP_LOW);
  let sum = 1;
  for (let n = 22; n >= 1; n--) sum = 1 + (x / n) * sum;
  ROOTS[i] = sum;
}

/** e^x; relative error below 1e-15 (4e-16 typically) wherever the result is a normal number. */
export function exp(x: number): number {
  if (!(x > -708 && x < 709)) return extremeExp(x);
  const n = Math.floor(x * STEPS_PER_UNIT + 0.5);
  const r = x - n * STEP_HIGH - n * STEP_LOW;
  const root = ROOTS[n & 63];
  const rest = r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120)))));
  return (root + root * rest) * POWERS_OF_TWO[(n >> 6) + 1022];
}

function extremeExp(x: number): number {
  if (x > 710) return Infinity;
  if (x < -746) return 0;
  const half = x === x ? exp(x / 2) : x;
  return half * half;
}

const bits = new DataView(new ArrayBuffer(8));

/** Natural logarithm; relative error below 1e-15. Zero gives -Infinity, a negative number NaN. */
export function log(x: number): number {
  if (!(x > 0) || x === Infinity) return x === 0 ? -Infinity : x === Infinity ? x : NaN;
  let exponent = 0;
  if (x < 2.2250738585072014e-308) {
    x *= 2 ** 54;
    exponent = -54;
  }
  bits.setFloat64(0, x);
  const high = bits.getUint32(0);
  exponent += (high >>> 20) - 1023;
  bits.setUint32(0, (high & 0xfffff) | 0x3ff00000);
  let mantissa = bits.getFloat64(0);
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent++;
  }
  const f = mantissa - 1;
  const s = f / (2 + f);
  const z = s * s;
  // ln((1 + s) / (1 - s)) = 2·(s + s³/3 + s⁵/5 + ...), written as f - s·(f - rest) to keep the last bit.
  let rest = 0;
  for (let n = 23; n >= 3; n -= 2) rest = z * (2 / n + rest);
  return exponent * LN2_HIGH + (exponent * LN2_LOW + (f - s * (f - rest)));
}

/**
 * base^exponent for base ≥ 0. Relative error about 2e-16 · (1 + |exponent · ln base|): below 1e-14 while the result
 * lies in 1e-20 .. 1e20.
 */
export function pow(base: number, exponent: number): number {
  if (exponent === 0 || base === 1) return 1;
  if (exponent === 1) return base;
  return exp(exponent * log(base));
}

const TWO_OVER_PI = 0.6366197723675814;
// π/2 in three parts of 27, 27 and 53 bits: the first two products below are exact for |x| up to 1e8.
const HALF_PI_HIGH = 1.570796325802803;
const HALF_PI_MIDDLE = 9.920935739593517e-10;
const HALF_PI_LOW = 5.721188726109832e-18;

/** Absolute error below 2.5e-16 for |x| ≤ 1e6, and growing slowly to 1e8. */
export function sin(x: number): number {
  const n = Math.floor(x * TWO_OVER_PI + 0.5);
  return quarterWave(x - n * HALF_PI_HIGH - n * HALF_PI_MIDDLE - n * HALF_PI_LOW, n & 3);
}

/** As {@link sin}. */
export function cos(x: number): number {
  const n = Math.floor(x * TWO_OVER_PI + 0.5);
  return quarterWave(x - n * HALF_PI_HIGH - n * HALF_PI_MIDDLE - n * HALF_PI_LOW, (n + 1) & 3);
}

/** sin(r + quadrant·π/2) for |r| ≤ π/4. */
function quarterWave(r: number, quadrant: number): number {
  const z = r * r;
  let sum = 1;
  if (quadrant & 1) {
    for (let n = 16; n >= 2; n -= 2) sum = 1 - (z / (n * (n - 1))) * sum;
  } else {
    for (let n = 15; n >= 3; n -= 2) sum = 1 - (z / (n * (n - 1))) * sum;
    sum *= r;
  }
  return quadrant & 2 ? -sum : sum;
}

// Adding 1.5·2^52 leaves no bit for a fraction, and f64 addition rounds halves to even.
const INTEGER_GRID = 1.5 * 2 ** 52;

/** The nearest integer, halves to the even one; |x| < 2^51. */
export function roundHalfEven(x: number): number {
  return x + INTEGER_GRID - INTEGER_GRID;
}
