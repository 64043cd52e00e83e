// Rows of I columns go in units of 8: two quads of 4 columns each, APART quads from one another, as the type packs them. So a word
// of 4-bit codes is read once for its 8 values, and a scale once for both quads.
struct Unit {
  a: vec4f, // columns 4·first_quad(u) and the next 3
  b: vec4f, // the same, APART quads on
}

fn first_quad(u: u32) -> u32 {
  return u / APART * (2u * APART) + u % APART;
}

fn units(I: u32) -> u32 {
  return (I + 7u) / 8u;
}
