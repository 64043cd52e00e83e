// Types of two values per word, any I: zero beyond it, as is the unused half of a row's last word.
@group(0) @binding(2) var<storage, read> weight: array<u32>;
// use units

const APART = 1u;

fn weight_unit(row: u32, u: u32) -> Unit {
  let row_words = (parameters.I + 1u) / 2u;
  var words = vec4u(0u);
  for (var i = 0u; i < 4u && 4u * u + i < row_words; i++) {
    words[i] = weight[row * row_words + 4u * u + i];
  }
  return Unit(
    vec4f(halves(words.x), halves(words.y)),
    vec4f(halves(words.z), halves(words.w)),
  );
}
