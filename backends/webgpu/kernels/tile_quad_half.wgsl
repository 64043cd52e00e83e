// As tile_quad.wgsl in half the memory: rounded to 11 bits. What passes the largest half would become infinity, so it stops there.
alias TileQuad = vec4h;
// Activations of some models pass the largest half, 65504, but none 64 times that; below 0.004 they are rounded to fewer bits.
const X_UNIT = 64.0;

fn tile_quad(values: vec4f) -> TileQuad {
  return vec4h(clamp(values, vec4f(-65504.0), vec4f(65504.0)));
}
