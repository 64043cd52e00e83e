// As dot.wgsl, where the device has an instruction for it.
fn dot_bytes(a: u32, b: u32) -> i32 {
  return dot4I8Packed(a, b);
}
