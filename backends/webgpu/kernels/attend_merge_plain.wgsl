// No tail.
fn tail_weight(head: u32, maximum: f32, sum: f32, logits: f32, scores: f32, thread: u32) -> f32 {
  return 0.0;
}

fn tail_value(head: u32, chunk: u32) -> vec4f {
  return vec4f();
}
