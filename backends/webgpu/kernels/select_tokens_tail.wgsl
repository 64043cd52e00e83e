// tail_mass of each query head, from its sums within blocks. A workgroup per head.
struct Parameters {
  heads: u32, // T·Hq
  blocks: u32, // held per head
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> tail_mass: array<f32>;
@group(0) @binding(2) var<storage, read> masses: array<f32>;
@group(0) @binding(3) var<storage, read> sets: array<TokenSet>;
// use token_set
// use spread
// use reduce

const THREADS = 64u;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let q = item(group, groups);
  if (q >= parameters.heads) {
    return;
  }
  let count = (sets[q / G].kv_len + BLOCK - 1u) / BLOCK;
  var mass = 0.0;
  for (var block = thread; block < count; block += THREADS) {
    mass += masses[q * parameters.blocks + block];
  }
  let sum = workgroup_sum(mass, thread);
  if (thread == 0u) {
    tail_mass[q] = sum;
  }
}
