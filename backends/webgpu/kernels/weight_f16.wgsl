// f16, two per word.
// use weight_halves

fn halves(word: u32) -> vec2f {
  return unpack2x16float(word);
}
