// staging [T, Hk, K, 2, d] ← the selected rows of the cache, in fours of words; the row itself is left out.
struct Parameters {
  Hk: u32,
  S: u32,
  K: u32,
  fours: u32, // per token: K and V
  count: u32, // fours of staging
  first: u32, // of [slots · Hk] in this binding
  held: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> staging: array<vec4u>;
@group(0) @binding(2) var<storage, read> kv: array<vec4u>;
@group(0) @binding(3) var<storage, read> rows: array<Row>;
@group(0) @binding(4) var<storage, read> indices: array<i32>;
@group(0) @binding(5) var<storage, read> counts: array<i32>;
// use rows
// use spread

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let at = item(group, groups) * 256u + thread;
  if (at >= parameters.count) {
    return;
  }
  let token = at / parameters.fours;
  let list = token / parameters.K;
  if (token % parameters.K >= u32(counts[list])) {
    return;
  }
  let row = rows[list / parameters.Hk];
  let entry = u32(row.slot) * parameters.Hk + list % parameters.Hk - parameters.first;
  let n = indices[token];
  if (entry < parameters.held && n != row.position) {
    staging[at] = kv[(entry * parameters.S + u32(n)) * parameters.fours + at % parameters.fours];
  }
}
