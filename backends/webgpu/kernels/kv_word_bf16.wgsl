// The values of a 32-bit word of a cache of bf16, the first in the low half.
const VALUES_PER_WORD = 2u;

// From the bits of f32 values.
fn pack_word(first: u32, second: u32) -> u32 {
  return to_bf16(first) | (to_bf16(second) << 16u);
}

fn unpack_word(word: u32) -> vec2f {
  return vec2f(bitcast<f32>(word << 16u), bitcast<f32>(word & 0xffff0000u));
}

// Nearest, ties to even.
fn to_bf16(bits: u32) -> u32 {
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return (bits >> 16u) | 0x40u;
  }
  return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}
