// The virtual token for all that was not selected: mean V of the others at min(mass·exp(shift - maximum), sum / 9).
// [T, H] of: tokens not selected, tokens selected and not forced; then the mean V of the former.
@group(0) @binding(3) var<storage, read> others: array<vec4f>;
@group(0) @binding(4) var<storage, read> exponents: array<i32>;
@group(0) @binding(5) var<storage, read> maxima: array<i32>;
@group(0) @binding(6) var<storage, read> tail_mass: array<f32>;

// Keeps the weight before its cap from overflowing.
const MOST_EXPONENT = 60.0;

fn others_of(head: u32) -> u32 {
  return head / (parameters.Hq / parameters.H) * PART;
}

fn tail_weight(head: u32, maximum: f32, sum: f32, logits: f32, scores: f32, thread: u32) -> f32 {
  let logit_sum = workgroup_sum(logits, thread);
  let score_sum = workgroup_sum(scores, thread);
  let tokens = others[others_of(head)];
  if (tokens.x <= 0.0 || tokens.y <= 0.0) {
    return 0.0;
  }
  let per_score = ldexp(1.0, -exponents[head]) / sqrt(f32(D));
  let shift = (logit_sum - per_score * score_sum) / tokens.y + per_score * f32(maxima[head]);
  return min(tail_mass[head] * exp(min(shift - maximum, MOST_EXPONENT)), sum / 9.0);
}

fn tail_value(head: u32, chunk: u32) -> vec4f {
  return others[others_of(head) + 1u + chunk];
}
