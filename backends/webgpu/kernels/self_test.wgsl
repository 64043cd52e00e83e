// A sum, a maximum, a dot product of bytes and one of a tile, whose results self_test.ts knows.
@group(0) @binding(0) var<storage, read_write> results: array<f32>;
// use reduce
// use dot
// use tile_quad

const THREADS = 64u;
var<workgroup> tile: array<TileQuad, THREADS>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let value = f32(i32((thread * 37u + group.x * 11u) % 64u) - 20);
  let sum = workgroup_sum(value, thread);
  let largest = workgroup_max(value, thread);
  let bytes = 0x0003fe01u | ((127u - group.x) << 24u);
  let whole = f32(thread + group.x);
  tile[thread] = tile_quad(vec4f(whole, -whole, 8.0 * whole + 1.0, 0.125 * whole));
  workgroupBarrier();
  let other = vec4f(tile[THREADS - 1u - thread]);
  let tiled = workgroup_sum(f32(thread) * dot(other, vec4f(1.0, 2.0, 3.0, 8.0)), thread);
  if (thread == 0u) {
    results[4u * group.x] = sum;
    results[4u * group.x + 1u] = largest;
    results[4u * group.x + 2u] = f32(dot_bytes(bytes, 0xff070580u));
    results[4u * group.x + 3u] = tiled;
  }
}
