// experts [R, E'] ← the largest of logits [R, E], largest first, ties: the lowest index; mix [R, E'] ← their softmax over all E, or
// over the chosen where renormalise. A workgroup per row: a thread counts what goes before each of its logits.
struct Parameters {
  rows: u32,
  E: u32,
  choices: u32, // E'
  renormalise: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> experts: array<i32>;
@group(0) @binding(2) var<storage, read_write> mix_of: array<f32>;
@group(0) @binding(3) var<storage, read> logits: array<f32>;
// use spread
// use reduce

const THREADS = 64u;
const LEAST = -3.4028234e38;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = item(group, groups);
  if (row >= parameters.rows) {
    return;
  }
  let E = parameters.E;
  let choices = parameters.choices;
  var seen = LEAST;
  for (var e = thread; e < E; e += THREADS) {
    seen = max(seen, logits[row * E + e]);
  }
  let largest = workgroup_max(seen, thread);
  var shares = 0.0;
  for (var e = thread; e < E; e += THREADS) {
    let logit = logits[row * E + e];
    var rank = 0u;
    for (var other = 0u; other < E; other++) {
      let value = logits[row * E + other];
      rank += select(0u, 1u, value > logit || (value == logit && other < e));
    }
    let is_chosen = rank < choices;
    if (is_chosen) {
      experts[row * choices + rank] = i32(e);
      mix_of[row * choices + rank] = exp(logit - largest);
    }
    if (is_chosen || parameters.renormalise == 0u) {
      shares += exp(logit - largest);
    }
  }
  let total = workgroup_sum(shares, thread);
  storageBarrier();
  for (var j = thread; j < choices; j += THREADS) {
    mix_of[row * choices + j] /= total;
  }
}
