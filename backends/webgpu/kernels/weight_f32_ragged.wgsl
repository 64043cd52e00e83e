// f32, any I: zero beyond it.
@group(0) @binding(2) var<storage, read> weight: array<f32>;
// use units

const APART = 1u;

fn weight_unit(row: u32, u: u32) -> Unit {
  let I = parameters.I;
  var values = array<f32, 8>();
  for (var i = 0u; i < 8u && 8u * u + i < I; i++) {
    values[i] = weight[row * I + 8u * u + i];
  }
  return Unit(
    vec4f(values[0], values[1], values[2], values[3]),
    vec4f(values[4], values[5], values[6], values[7]),
  );
}
