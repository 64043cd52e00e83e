// out [R, columns] ← the rows `indices` of x, of which this binding has those from `first` on; the others are left alone. A
// column is a Value: one float or four.
struct Parameters {
  rows: u32,
  columns: u32,
  first: u32,
  held: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<Value>;
@group(0) @binding(2) var<storage, read> x: array<Value>;
@group(0) @binding(3) var<storage, read> indices: array<i32>;
// use value
// use spread

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = item(group, groups) * 256u + thread;
  if (i >= parameters.rows * parameters.columns) {
    return;
  }
  // Below zero, as unsigned, where the row lies in a chunk before.
  let row = u32(indices[i / parameters.columns]) - parameters.first;
  if (row < parameters.held) {
    out[i] = x[row * parameters.columns + i % parameters.columns];
  }
}
