// Rotates pairs (c, c + d/2) of the q and k heads of qkv by the row's position, after optional norms of each head. A workgroup
// per row and head.
struct Parameters {
  rotated: u32, // heads: Hq + Hk
  heads: u32, // Hq + 2·Hk
  Hq: u32,
  d: u32,
  rows: u32,
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> angles: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<Row>;
// use rope_norm
// use rows
// use spread
// use reduce

const THREADS = 64u;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = item(group, groups);
  let is_head = index < parameters.rows * parameters.rotated;
  let t = select(0u, index / parameters.rotated, is_head);
  let head = select(0u, index % parameters.rotated, is_head);
  let d = parameters.d;
  let half_d = d / 2u;
  let first = (t * parameters.heads + head) * d;
  let inverse = head_inverse(first, d, head < parameters.Hq, thread);
  if (!is_head) {
    return;
  }
  let turn = u32(rows[t].position) * d;
  for (var c = thread; c < half_d; c += THREADS) {
    let a = qkv[first + c] * head_factor(inverse, head < parameters.Hq, c);
    let b = qkv[first + half_d + c] * head_factor(inverse, head < parameters.Hq, half_d + c);
    let cosine = angles[turn + c];
    let sine = angles[turn + half_d + c];
    qkv[first + c] = a * cosine - b * sine;
    qkv[first + half_d + c] = b * cosine + a * sine;
  }
}
