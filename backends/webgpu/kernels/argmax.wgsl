// token[r] ← place of the largest of logits [R, V], the lowest among equals. A workgroup per row.
struct Parameters {
  rows: u32,
  V: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> token: array<i32>;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
// use spread

const THREADS = 256u;
var<workgroup> values: array<f32, THREADS>;
var<workgroup> places: array<u32, THREADS>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = item(group, groups);
  let V = parameters.V;
  let is_row = row < parameters.rows;
  let first = select(0u, row * V, is_row);
  var place = min(thread, V - 1u);
  var largest = logits[first + place];
  for (var v = thread + THREADS; v < V; v += THREADS) {
    let value = logits[first + v];
    if (value > largest) {
      largest = value;
      place = v;
    }
  }
  values[thread] = largest;
  places[thread] = place;
  for (var step = THREADS / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (thread < step) {
      let other = values[thread + step];
      let other_place = places[thread + step];
      if (other > values[thread] || (other == values[thread] && other_place < places[thread])) {
        values[thread] = other;
        places[thread] = other_place;
      }
    }
  }
  if (thread == 0u && is_row) {
    token[row] = i32(places[0]);
  }
}
