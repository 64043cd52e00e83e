// Not MIX: out[r, j, n] ← weight[experts[r, j], n]·x[r], or ·x[r, j] where PER_CHOICE. MIX: out[r, n] ← Σ_j mix[r, j] times the same.
// LANES threads share four rows of weights. This binding has `entries` rows from row `first` on of weight [E·N, I]; the others
// count for nothing.
struct Parameters {
  outputs: u32, // rows of N: R where MIX, else R·E'
  I: u32,
  N: u32,
  choices: u32, // E'
  first: u32,
  entries: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read> experts: array<i32>;
@group(0) @binding(5) var<storage, read> mix_of: array<f32>;
// use weight
// use x_quads
// use dots

const THREADS = 64u;
const TEAMS = THREADS / LANES;
var<workgroup> parts: array<vec4f, THREADS>;

// Its place in this binding; as unsigned, huge where it lies in a chunk before.
fn entry(pair: u32, n: u32) -> u32 {
  return u32(experts[pair]) * parameters.N + n - parameters.first;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let output = group.y + group.z * groups.y;
  if (output >= parameters.outputs) {
    return;
  }
  let N = parameters.N;
  let first_n = group.x * TEAMS * 4u;
  let n = first_n + thread / LANES * 4u;
  let last = parameters.entries - 1u;
  let summed = select(1u, parameters.choices, MIX);
  var sums = vec4f(0.0);
  for (var pair = output * summed; pair < (output + 1u) * summed; pair++) {
    let at = entry(pair, n) + vec4u(0u, 1u, 2u, 3u);
    let is_held = at <= vec4u(last);
    let row = select(pair / parameters.choices, pair, PER_CHOICE);
    let end = select(0u, units(parameters.I), any(is_held));
    let place = min(at, vec4u(last));
    var products = vec4f(0.0);
    for (var u = thread % LANES; u < end; u += LANES) {
      let a = x_quad(row, first_quad(u));
      let b = x_quad(row, first_quad(u) + APART);
      let w0 = weight_unit(place.x, u);
      let w1 = weight_unit(place.y, u);
      let w2 = weight_unit(place.z, u);
      let w3 = weight_unit(place.w, u);
      products += dots(a, w0.a, w1.a, w2.a, w3.a) + dots(b, w0.b, w1.b, w2.b, w3.b);
    }
    sums += select(vec4f(0.0), products * select(1.0, mix_of[pair], MIX), is_held);
  }
  parts[thread] = sums;
  workgroupBarrier();
  if (thread >= TEAMS) {
    return;
  }
  var sum = vec4f(0.0);
  for (var lane = 0u; lane < LANES; lane++) {
    sum += parts[thread * LANES + lane];
  }
  for (var i = 0u; i < 4u; i++) {
    let column = first_n + 4u * thread + i;
    if (column >= N) {
      break;
    }
    let at = output * N + column;
    if (MIX) {
      out[at] = select(0.0, out[at], parameters.first > 0u) + sum[i];
    } else if (entry(output, column) <= last) {
      out[at] = sum[i];
    }
  }
}
