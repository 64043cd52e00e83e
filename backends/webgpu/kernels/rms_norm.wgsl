// normed ← x / √(mean x² + epsilon)·weight, a workgroup per row of D values.
struct Parameters {
  rows: u32,
  D: u32,
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> normed: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
// In place there is no x: one buffer may not be bound for writing and for reading.
// use rms_norm_source
// use spread
// use reduce

const THREADS = 256u;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = item(group, groups);
  let D = parameters.D;
  // Out of range alike in all threads of a workgroup, which must meet at the barriers of the sum.
  let is_row = row < parameters.rows;
  let first = select(0u, row * D, is_row);
  var squares = 0.0;
  for (var i = thread; i < D; i += THREADS) {
    let value = source(first + i);
    squares += value * value;
  }
  let inverse = 1.0 / sqrt(workgroup_sum(squares, thread) / f32(D) + parameters.epsilon);
  if (!is_row) {
    return;
  }
  for (var i = thread; i < D; i += THREADS) {
    normed[first + i] = source(first + i) * inverse * weight[i];
  }
}
