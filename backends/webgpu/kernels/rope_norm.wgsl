// Heads as they are.
fn head_inverse(first: u32, d: u32, is_query: bool, thread: u32) -> f32 {
  return 1.0;
}

fn head_factor(inverse: f32, is_query: bool, c: u32) -> f32 {
  return 1.0;
}
