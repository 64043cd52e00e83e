// The label of a key, WIDE codes of 4 bits and NARROW of 2, a word per thread.
@group(0) @binding(4) var<storage, read_write> labels: array<u32>;
@group(0) @binding(5) var<storage, read> channels: array<i32>;
@group(0) @binding(6) var<storage, read> zero: array<f32>;
@group(0) @binding(7) var<storage, read> inverse_step: array<f32>;

const C = WIDE + NARROW;
const W = WIDE / 8u + NARROW / 16u;

fn append_label(h: u32, place: u32, key: u32, thread: u32) {
  for (var word = thread; word < W; word += THREADS) {
    let is_wide = word < WIDE / 8u;
    let first = h * C + select(WIDE + (word - WIDE / 8u) * 16u, word * 8u, is_wide);
    let bits = select(2u, 4u, is_wide);
    var codes = 0u;
    for (var bit = 0u; bit < 32u; bit += bits) {
      codes |= code_of(key, first + bit / bits, (1u << bits) - 1u) << bit;
    }
    labels[place * W + word] = codes;
  }
}

fn code_of(key: u32, c: u32, largest: u32) -> u32 {
  let difference = bitcast<f32>(qkv[key + u32(channels[c])]) - zero[c];
  let rounded = round(difference * inverse_step[c]);
  if (rounded > f32(largest)) {
    return largest;
  }
  // Not so where it is NaN.
  return select(0u, u32(max(rounded, 0.0)), rounded > 0.0);
}
