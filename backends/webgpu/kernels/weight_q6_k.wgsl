// Blocks of 256 in 53 words: 32 of low 4 bits, 16 of high 2 bits, 16 signed bytes of scales, an f16 scale. Half a block's 16 words
// of low bits hold 64 columns in their low halves, the next 64 in their high ones.
@group(0) @binding(2) var<storage, read> weight: array<u32>;
// use units
// use bytes

const APART = 16u;

fn weight_unit(row: u32, u: u32) -> Unit {
  let at = (row * (parameters.I / 256u) + u / 32u) * 53u;
  let word = u % 32u;
  let half_block = word / 16u;
  let run = word / 8u % 2u; // 32 columns
  let low = weight[at + word];
  let high = weight[at + 32u + 8u * half_block + word % 8u] >> (2u * run);
  let a = (low & 0x0f0f0f0fu) | ((high & 0x03030303u) << 4u);
  let b = ((low >> 4u) & 0x0f0f0f0fu) | (high & 0x30303030u);
  // A scale for every 16 columns; those of b are a word after those of a.
  let words = vec2u(weight[at + 48u + 2u * half_block], weight[at + 49u + 2u * half_block]);
  let shift = 24u - 8u * (2u * run + word / 4u % 2u);
  let steps = unpack2x16float(weight[at + 52u]).x * vec2f(bitcast<vec2i>(words << vec2u(shift)) >> vec2u(24u));
  return Unit(steps.x * (unsigned_bytes(a) - 32.0), steps.y * (unsigned_bytes(b) - 32.0));
}
