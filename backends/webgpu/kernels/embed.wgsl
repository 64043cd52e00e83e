// out[t] ← row tokens[t] of the table, of which this binding has `entries` from `first` on; the others are left alone. A thread per
// unit of a row.
struct Parameters {
  rows: u32,
  I: u32, // D
  first: u32,
  entries: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<Row>;
// use weight
// use rows
// use spread

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let D = parameters.I;
  let index = item(group, groups) * 64u + thread;
  let t = index / units(D);
  if (t >= parameters.rows) {
    return;
  }
  // As unsigned, huge where the row lies in a chunk before.
  let row = u32(rows[t].token) - parameters.first;
  if (row >= parameters.entries) {
    return;
  }
  let u = index % units(D);
  let values = weight_unit(row, u);
  let a = 4u * first_quad(u);
  let b = a + 4u * APART;
  for (var i = 0u; i < 4u; i++) {
    if (a + i < D) {
      out[t * D + a + i] = values.a[i];
    }
    if (b + i < D) {
      out[t * D + b + i] = values.b[i];
    }
  }
}
