// The importance of the free tokens of each set to its G query heads, and how many of them fall into each bin. A workgroup per set
// and block.
struct Parameters {
  sets: u32, // T·H
  H: u32,
  S: u32,
  stride: u32, // weights per set
  sink_tokens: u32,
  recent_tokens: u32,
  // Of exponent 0.
  multiplier: u32,
  shift: i32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> weights: array<u32>;
@group(0) @binding(2) var<storage, read_write> bins: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read> scores: array<i32>;
@group(0) @binding(4) var<storage, read> maxima: array<i32>;
@group(0) @binding(5) var<storage, read> exponents: array<i32>;
@group(0) @binding(6) var<storage, read> importance_table: array<u32>;
@group(0) @binding(7) var<storage, read> heavy_tokens: array<i32>;
@group(0) @binding(8) var<storage, read> rows: array<Row>;
// use importance
// use token_set
// use weight_bins
// use rows
// use set_grid

const THREADS = 256u;
var<workgroup> counted: array<atomic<u32>, BINS>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = set_of(group, groups);
  if (index >= parameters.sets) {
    return;
  }
  let position = rows[index / parameters.H].position;
  let tokens = token_set(position, heavy_tokens[index], parameters.sink_tokens, parameters.recent_tokens);
  let first = max(group.x * BLOCK, tokens.first_free);
  let end = min((group.x + 1u) * BLOCK, tokens.end_free);
  if (tokens.wanted == 0u || first >= end) {
    return;
  }
  load_importance_table(thread);
  for (var bin = thread; bin < BINS; bin += THREADS) {
    atomicStore(&counted[bin], 0u);
  }
  workgroupBarrier();
  for (var n = first + thread; n < end; n += THREADS) {
    var weight = 0u;
    for (var q = index * G; q < (index + 1u) * G; q++) {
      weight += importance(u32(maxima[q] - scores[q * parameters.S + n]), exponents[q]);
    }
    weights[index * parameters.stride + n] = weight;
    // Most weights may be 0, and what the other bins do not hold is there.
    if (weight > 0u) {
      atomicAdd(&counted[bin_of(weight)], 1u);
    }
  }
  workgroupBarrier();
  for (var bin = thread; bin < BINS; bin += THREADS) {
    let count = atomicLoad(&counted[bin]);
    if (count > 0u) {
      atomicAdd(&bins[index * BIN_WORDS + bin], count);
    }
  }
}
