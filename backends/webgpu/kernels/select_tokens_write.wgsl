// The selected tokens of each set, ascending, and for each of its G query heads the tail's mass within the block. A workgroup per
// set and block.
struct Parameters {
  sets: u32, // T·H
  S: u32,
  stride: u32, // weights per set
  K: u32,
  unit: f32, // 1/√d
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> indices: array<i32>;
@group(0) @binding(2) var<storage, read_write> masses: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<vec4u>;
// Heavier tokens, and those of the least selected weight, in all blocks before.
@group(0) @binding(4) var<storage, read> blocks: array<vec2u>;
@group(0) @binding(5) var<storage, read> sets: array<TokenSet>;
@group(0) @binding(6) var<storage, read> scores: array<i32>;
@group(0) @binding(7) var<storage, read> maxima: array<i32>;
@group(0) @binding(8) var<storage, read> exponents: array<i32>;
// use token_set
// use set_grid
// use scan
// use reduce

const THREADS = 256u;
// Which of four tokens each, the first in the lowest bit.
var<workgroup> selected: array<u32, THREADS>;

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
  let tokens = sets[index];
  let first = group.x * BLOCK;
  if (first >= tokens.kv_len) {
    return;
  }
  selected[thread] = write_indices(tokens, index, group.x, thread);
  workgroupBarrier();
  let end = min(first + BLOCK, tokens.kv_len);
  for (var q = index * G; q < (index + 1u) * G; q++) {
    // 2^-e; where that is too small for f32, all scores weigh the same.
    let scale = parameters.unit * bitcast<f32>(u32(clamp(127 - exponents[q], 0, 254)) << 23u);
    let largest = maxima[q];
    var mass = 0.0;
    for (var n = first + thread; n < end; n += THREADS) {
      if (((selected[(n - first) / 4u] >> (n % 4u)) & 1u) == 0u) {
        mass += exp(-min(scale * f32(largest - scores[q * parameters.S + n]), 200.0));
      }
    }
    let sum = workgroup_sum(mass, thread);
    if (thread == 0u) {
      masses[q * (parameters.stride / BLOCK) + group.x] = sum;
    }
  }
}

// Those of the thread's four tokens that are selected, as bits.
fn write_indices(tokens: TokenSet, index: u32, block: u32, thread: u32) -> u32 {
  let first = block * BLOCK + 4u * thread;
  // What lies there may never have been written where nothing is wanted.
  let has_wanted = tokens.wanted > 0u;
  let weight = weights[(index * parameters.stride + first) / 4u];
  var before = select(vec2u(), blocks[index * (parameters.stride / BLOCK) + block], has_wanted);
  let n = first + vec4u(0u, 1u, 2u, 3u);
  let is_free = (n >= vec4u(tokens.first_free)) & (n < vec4u(tokens.end_free)) & vec4<bool>(has_wanted);
  let is_above = select(vec4u(), vec4u(1u), is_free & (weight > vec4u(tokens.threshold)));
  let is_equal = select(vec4u(), vec4u(1u), is_free & (weight == vec4u(tokens.threshold)));
  let in_block = sum_before(dot(is_above | (is_equal << vec4u(16u)), vec4u(1u)), thread);
  before += vec2u(in_block & 0xffffu, in_block >> 16u);
  var flags = 0u;
  for (var i = 0u; i < 4u; i++) {
    var place = parameters.K;
    if (n[i] < tokens.first_free) {
      place = n[i];
    } else if (n[i] >= tokens.end_free) {
      place = tokens.first_free + tokens.wanted + n[i] - tokens.end_free;
    } else if (is_above[i] == 1u || (is_equal[i] == 1u && before.y < tokens.of_threshold)) {
      place = tokens.first_free + before.x + min(before.y, tokens.of_threshold);
    }
    before += vec2u(is_above[i], is_equal[i]);
    if (place < parameters.K && n[i] < tokens.kv_len) {
      indices[index * parameters.K + place] = i32(n[i]);
      flags |= 1u << i;
    }
  }
  return flags;
}
