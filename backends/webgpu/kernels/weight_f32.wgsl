// f32, I a multiple of 32.
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
// use units

const APART = 4u;

fn weight_unit(row: u32, u: u32) -> Unit {
  let at = row * (parameters.I / 4u) + first_quad(u);
  return Unit(weight[at], weight[at + APART]);
}
