// Blocks of 32 in 9 words: the f16 scale, 2 bytes unused, 32 signed bytes.
@group(0) @binding(2) var<storage, read> weight: array<u32>;
// use units
// use bytes

const APART = 4u;

fn weight_unit(row: u32, u: u32) -> Unit {
  let at = (row * (parameters.I / 32u) + u / 4u) * 9u;
  let scale = unpack2x16float(weight[at]).x;
  let word = at + 1u + u % 4u;
  return Unit(scale * signed_bytes(weight[word]), scale * signed_bytes(weight[word + 4u]));
}
