// A sum, a maximum and a dot product of bytes, whose results self_test.ts knows.
@group(0) @binding(0) var<storage, read_write> results: array<f32>;
// use reduce
// use dot

const THREADS = 64u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let value = f32(i32((thread * 37u + group.x * 11u) % 64u) - 20);
  let sum = workgroup_sum(value, thread);
  let largest = workgroup_max(value, thread);
  let bytes = 0x0003fe01u | ((127u - group.x) << 24u);
  if (thread == 0u) {
    results[3u * group.x] = sum;
    results[3u * group.x + 1u] = largest;
    results[3u * group.x + 2u] = f32(dot_bytes(bytes, 0xff070580u));
  }
}
