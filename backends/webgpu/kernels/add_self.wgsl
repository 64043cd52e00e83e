// x ← x + x: one buffer may not be bound for writing and for reading.
struct Parameters {
  count: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
// use spread

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = item(group, groups) * 256u + thread;
  if (i < parameters.count) {
    x[i] += x[i];
  }
}
