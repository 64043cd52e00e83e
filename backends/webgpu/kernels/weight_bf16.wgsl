// bf16, two per word.
// use weight_halves

fn halves(word: u32) -> vec2f {
  return bitcast<vec2f>(vec2u(word << 16u, word & 0xffff0000u));
}
