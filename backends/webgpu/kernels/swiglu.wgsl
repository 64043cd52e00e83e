// out [R, F] ← silu(gate)·up of gate_up [R, 2·F].
struct Parameters {
  rows: u32,
  F: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> gate_up: array<f32>;
// use spread

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = item(group, groups) * 256u + thread;
  let F = parameters.F;
  if (i >= parameters.rows * F) {
    return;
  }
  let at = (i / F) * 2u * F + i % F;
  let gate = gate_up[at];
  out[i] = gate / (1.0 + exp(-gate)) * gate_up[at + F];
}
