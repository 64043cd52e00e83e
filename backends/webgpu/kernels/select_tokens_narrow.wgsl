// What each set takes, and the bin of its least selected weight; the tokens of that bin become the set's candidates, in any order,
// unless all have one weight. A workgroup per set and block: how many tokens of the block are in heavier bins, and how many have
// that one weight.
struct Parameters {
  sets: u32, // T·H
  H: u32,
  stride: u32, // weights per set
  K: u32,
  sink_tokens: u32,
  recent_tokens: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
// The threshold here is the bin.
@group(0) @binding(1) var<storage, read_write> sets: array<TokenSet>;
@group(0) @binding(2) var<storage, read_write> counts: array<i32>;
@group(0) @binding(3) var<storage, read_write> bins: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> candidates: array<u32>;
@group(0) @binding(5) var<storage, read_write> blocks: array<vec2u>;
@group(0) @binding(6) var<storage, read> weights: array<vec4u>;
@group(0) @binding(7) var<storage, read> heavy_tokens: array<i32>;
@group(0) @binding(8) var<storage, read> rows: array<Row>;
// use token_set
// use weight_bins
// use rows
// use set_grid
// use scan

const THREADS = 256u;
const BINS_PER_THREAD = BINS / THREADS;
// The bin, and how many of its tokens are selected.
var<workgroup> found: vec2u;
var<workgroup> place: u32;

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
  var tokens = token_set(position, heavy_tokens[index], parameters.sink_tokens, parameters.recent_tokens);
  if (group.x * BLOCK >= tokens.kv_len) {
    return;
  }
  if (tokens.wanted > 0u) {
    find_bin(index * BIN_WORDS, tokens.wanted, thread);
    let bin = workgroupUniformLoad(&found);
    tokens.threshold = bin.x;
    tokens.of_threshold = bin.y;
    narrow(tokens, index, group.x, thread);
  }
  if (group.x == 0u && thread == 0u) {
    sets[index] = tokens;
    let count = tokens.kv_len - (tokens.end_free - tokens.first_free) + tokens.wanted;
    // More than K is the caller's mistake, but nobody may read past it.
    counts[index] = i32(min(count, parameters.K));
  }
}

// Into `found`, from the counts of the bins at `base`.
fn find_bin(base: u32, wanted: u32, thread: u32) {
  let top = base + BINS - 1u - thread * BINS_PER_THREAD;
  var own = 0u;
  for (var i = 0u; i < BINS_PER_THREAD; i++) {
    own += atomicLoad(&bins[top - i]);
  }
  var above = sum_before(own, thread);
  let is_last = thread == THREADS - 1u;
  if (above < wanted && (is_last || above + own >= wanted)) {
    var bin = top;
    // The lowest bin is not counted, but holds the rest.
    for (; bin > base; bin--) {
      let count = atomicLoad(&bins[bin]);
      if (above + count >= wanted) {
        break;
      }
      above += count;
    }
    found = vec2u(bin - base, wanted - above);
  }
}

fn narrow(tokens: TokenSet, index: u32, block: u32, thread: u32) {
  let is_exact = free_bits_of(tokens.threshold) == 0u;
  let first = block * BLOCK + 4u * thread;
  let weight = weights[(index * parameters.stride + first) / 4u];
  let n = first + vec4u(0u, 1u, 2u, 3u);
  let is_free = (n >= vec4u(tokens.first_free)) & (n < vec4u(tokens.end_free));
  let bin = vec4u(bin_of(weight.x), bin_of(weight.y), bin_of(weight.z), bin_of(weight.w));
  let is_above = select(vec4u(), vec4u(1u), is_free & (bin > vec4u(tokens.threshold)));
  let is_inside = select(vec4u(), vec4u(1u), is_free & (bin == vec4u(tokens.threshold)));
  let own = dot(is_above | (is_inside << vec4u(16u)), vec4u(1u));
  let before = sum_before(own, thread);
  if (thread == THREADS - 1u) {
    let above = (before + own) & 0xffffu;
    let inside = (before + own) >> 16u;
    blocks[index * (parameters.stride / BLOCK) + block] = vec2u(above, select(0u, inside, is_exact));
    if (!is_exact) {
      place = atomicAdd(&bins[index * BIN_WORDS + BINS], inside);
    }
  }
  var to = index * parameters.stride + workgroupUniformLoad(&place) + (before >> 16u);
  for (var i = 0u; i < 4u; i++) {
    if (is_inside[i] == 1u && !is_exact) {
      candidates[to] = n[i];
      to++;
    }
  }
}
