// Dot product of four signed bytes with four signed bytes.
fn dot_bytes(a: u32, b: u32) -> i32 {
  let x = vec4i(i32(a << 24u), i32(a << 16u), i32(a << 8u), i32(a)) >> vec4u(24u);
  let y = vec4i(i32(b << 24u), i32(b << 16u), i32(b << 8u), i32(b)) >> vec4u(24u);
  return dot(x, y);
}
