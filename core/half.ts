/** f16 and bf16 as bit patterns, in plain arithmetic: the same bits on every runtime (Node 24 lacks Float16Array). */

const scratch = new DataView(new ArrayBuffer(4));

function bitsOf(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}

function floatOf(bits: number): number {
  scratch.setUint32(0, bits >>> 0);
  return scratch.getFloat32(0);
}

/** Rounds to nearest, ties to even; NaN stays NaN. */
export function toBf16(value: number): number {
  const bits = bitsOf(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBf16(bits: number): number {
  return floatOf(bits << 16);
}

/** Rounds to nearest, ties to even; overflow gives infinity, NaN stays NaN. */
export function toF16(value: number): number {
  const bits = bitsOf(value);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude < 0x33000000) return sign;
  const exponent = magnitude >>> 23;
  // Subnormal halves keep fewer mantissa bits: the shift grows as the exponent falls below 2^-14.
  const shift = exponent < 113 ? 126 - exponent : 13;
  const mantissa = exponent < 113 ? (magnitude & 0x7fffff) | 0x800000 : magnitude - (112 << 23);
  const half = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  const roundUp = rest > middle || (rest === middle && (half & 1) === 1);
  return sign | (half + (roundUp ? 1 : 0));
}

const F16_VALUES = new Float32Array(65536);
for (let bits = 0; bits < 65536; bits++) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  F16_VALUES[bits] = exponent === 31
    ? (fraction ? NaN : sign * Infinity)
    : exponent === 0
    ? sign * fraction * 2 ** -24
    : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

export function fromF16(bits: number): number {
  return F16_VALUES[bits];
}
