// The values of a 32-bit word of a cache of f16, the first in the low half.
const VALUES_PER_WORD = 2u;

// From the bits of f32 values.
fn pack_word(first: u32, second: u32) -> u32 {
  return to_f16(first) | (to_f16(second) << 16u);
}

fn unpack_word(word: u32) -> vec2f {
  return unpack2x16float(word);
}

// Nearest, ties to even, by the bits: how pack2x16float rounds is up to the driver.
fn to_f16(bits: u32) -> u32 {
  let sign = (bits >> 16u) & 0x8000u;
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return sign | 0x7e00u;
  }
  if (magnitude >= 0x47800000u) {
    return sign | 0x7c00u;
  }
  if (magnitude < 0x33000000u) {
    return sign;
  }
  let exponent = magnitude >> 23u;
  let is_normal = exponent >= 113u;
  // Subnormal halves keep fewer mantissa bits: the shift grows as the exponent falls below 2^-14.
  let shift = select(126u - exponent, 13u, is_normal);
  let mantissa = select((magnitude & 0x7fffffu) | 0x800000u, magnitude - (112u << 23u), is_normal);
  let half = mantissa >> shift;
  let rest = mantissa & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  let rounds_up = rest > middle || (rest == middle && (half & 1u) == 1u);
  return sign | (half + select(0u, 1u, rounds_up));
}
