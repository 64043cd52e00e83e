// Rows of x in quads, any I: zero beyond it.
@group(0) @binding(3) var<storage, read> x: array<f32>;

fn x_quad(row: u32, quad: u32) -> vec4f {
  let I = parameters.I;
  var values = vec4f(0.0);
  for (var i = 0u; i < 4u && 4u * quad + i < I; i++) {
    values[i] = x[row * I + 4u * quad + i];
  }
  return values;
}
