// out[r, column + n] ← weight[n]·x[r] (+ bias[n]), ROWS rows of x at a time. LANES threads share four rows of weights, each read once
// for all those rows of x.
struct Parameters {
  R: u32,
  I: u32,
  columns: u32, // of out
  column: u32,
  first: u32, // weight row of this binding, of `entries`
  entries: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
// use weight
// use x_quads
// use dots
// use spread

const THREADS = 64u;
const TEAMS = THREADS / LANES;
var<workgroup> parts: array<vec4f, ROWS * THREADS>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let first_n = item(group, groups) * TEAMS * 4u;
  let first_row = group.z * ROWS;
  if (first_n >= parameters.entries) {
    return;
  }
  let last_n = parameters.entries - 1u;
  let last_row = parameters.R - 1u;
  let n = first_n + thread / LANES * 4u;
  var sums = array<vec4f, ROWS>();
  for (var u = thread % LANES; u < units(parameters.I); u += LANES) {
    let w0 = weight_unit(min(n, last_n), u);
    let w1 = weight_unit(min(n + 1u, last_n), u);
    let w2 = weight_unit(min(n + 2u, last_n), u);
    let w3 = weight_unit(min(n + 3u, last_n), u);
    let quad = first_quad(u);
    for (var r = 0u; r < ROWS; r++) {
      let row = min(first_row + r, last_row);
      let a = x_quad(row, quad);
      let b = x_quad(row, quad + APART);
      sums[r] += dots(a, w0.a, w1.a, w2.a, w3.a) + dots(b, w0.b, w1.b, w2.b, w3.b);
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    parts[r * THREADS + thread] = sums[r];
  }
  workgroupBarrier();
  if (thread >= ROWS * TEAMS) {
    return;
  }
  let r = thread / TEAMS;
  let team = thread % TEAMS;
  var sum = vec4f(0.0);
  for (var lane = 0u; lane < LANES; lane++) {
    // Each thread begins elsewhere, so that they meet in no bank of the memory.
    sum += parts[r * THREADS + team * LANES + (lane + thread) % LANES];
  }
  if (first_row + r > last_row) {
    return;
  }
  for (var i = 0u; i < 4u; i++) {
    let place = first_n + 4u * team + i;
    if (place <= last_n) {
      let c = parameters.first + place;
      let value = select(0.0, bias[c], HAS_BIAS) + sum[i];
      out[(first_row + r) * parameters.columns + parameters.column + c] = value;
    }
  }
}
