// Rows of x in quads, I a multiple of 4.
@group(0) @binding(3) var<storage, read> x: array<vec4f>;

fn x_quad(row: u32, quad: u32) -> vec4f {
  return x[row * (parameters.I / 4u) + quad];
}
