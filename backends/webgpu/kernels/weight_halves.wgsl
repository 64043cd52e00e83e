// Types of two values per word, I a multiple of 32.
@group(0) @binding(2) var<storage, read> weight: array<vec4u>;
// use units

const APART = 1u;

fn weight_unit(row: u32, u: u32) -> Unit {
  let words = weight[row * (parameters.I / 8u) + u];
  return Unit(
    vec4f(halves(words.x), halves(words.y)),
    vec4f(halves(words.z), halves(words.w)),
  );
}
