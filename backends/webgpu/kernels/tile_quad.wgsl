// What a tile in workgroup memory is made of: four values as they are.
alias TileQuad = vec4f;
// What x is held in units of.
const X_UNIT = 1.0;

fn tile_quad(values: vec4f) -> TileQuad {
  return values;
}
