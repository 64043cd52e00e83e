// The values of a 32-bit word of a cache of f32.
const VALUES_PER_WORD = 1u;

// From the bits of f32 values; the second is not there.
fn pack_word(first: u32, second: u32) -> u32 {
  return first;
}

fn unpack_word(word: u32) -> vec2f {
  return vec2f(bitcast<f32>(word), 0.0);
}
