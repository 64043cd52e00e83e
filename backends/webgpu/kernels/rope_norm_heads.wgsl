// Each q head normed by query_norm where QUERY_NORM, each k head by key_norm where KEY_NORM.
@group(0) @binding(4) var<storage, read> query_norm: array<f32>;
@group(0) @binding(5) var<storage, read> key_norm: array<f32>;

fn head_inverse(first: u32, d: u32, is_query: bool, thread: u32) -> f32 {
  var squares = 0.0;
  for (var c = thread; c < d; c += THREADS) {
    squares += qkv[first + c] * qkv[first + c];
  }
  let inverse = 1.0 / sqrt(workgroup_sum(squares, thread) / f32(d) + parameters.epsilon);
  return select(1.0, inverse, select(KEY_NORM, QUERY_NORM, is_query));
}

fn head_factor(inverse: f32, is_query: bool, c: u32) -> f32 {
  if (is_query) {
    return select(1.0, inverse * query_norm[c], QUERY_NORM);
  }
  return select(1.0, inverse * key_norm[c], KEY_NORM);
}
