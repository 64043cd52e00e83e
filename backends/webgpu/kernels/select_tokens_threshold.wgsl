// The least selected weight of each set, and how many of exactly that weight are selected: found 8 bits at a time among the set's
// candidates. Then what each block holds becomes what all blocks before it hold, and the bins are cleared for the next time. A
// workgroup per set.
struct Parameters {
  sets: u32, // T·H
  stride: u32, // weights per set
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> sets: array<TokenSet>;
// Two per block: heavier tokens and those of exactly that weight.
@group(0) @binding(2) var<storage, read_write> blocks: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> bins: array<u32>;
@group(0) @binding(4) var<storage, read> candidates: array<u32>;
@group(0) @binding(5) var<storage, read> weights: array<u32>;
// use token_set
// use weight_bins
// use spread
// use scan

const THREADS = 256u;
var<workgroup> shared_tokens: TokenSet;
var<workgroup> counted: array<atomic<u32>, THREADS>;
// The threshold as far as it is known, and how many of the tokens that agree so far are selected.
var<workgroup> found: vec2u;
var<workgroup> block_sums: vec2u;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = item(group, groups);
  if (index >= parameters.sets) {
    return;
  }
  if (thread == 0u) {
    shared_tokens = sets[index];
    found = vec2u(least_of(shared_tokens.threshold), shared_tokens.of_threshold);
    block_sums = vec2u();
  }
  let tokens = workgroupUniformLoad(&shared_tokens);
  if (tokens.wanted == 0u) {
    return;
  }
  let first = index * parameters.stride;
  let count = bins[index * BIN_WORDS + BINS];
  var bits = free_bits_of(tokens.threshold);
  while (bits > 0u) {
    let digit_bits = min(bits, 8u);
    find_digit(first, count, bits, digit_bits, thread);
    bits -= digit_bits;
  }
  let threshold = workgroupUniformLoad(&found);
  if (thread == 0u) {
    sets[index].threshold = threshold.x;
    sets[index].of_threshold = threshold.y;
  }

  let first_block = index * (parameters.stride / BLOCK);
  for (var i = thread; i < count; i += THREADS) {
    let n = candidates[first + i];
    let weight = weights[first + n];
    if (weight >= threshold.x) {
      atomicAdd(&blocks[2u * (first_block + n / BLOCK) + select(0u, 1u, weight == threshold.x)], 1u);
    }
  }
  storageBarrier();
  sum_blocks(first_block, (tokens.kv_len + BLOCK - 1u) / BLOCK, thread);
  for (var i = thread; i < BIN_WORDS; i += THREADS) {
    bins[index * BIN_WORDS + i] = 0u;
  }
}

// Adds the upper `digit_bits` of the lowest `bits` of the threshold, from the candidates that share the bits above.
fn find_digit(first: u32, count: u32, bits: u32, digit_bits: u32, thread: u32) {
  let known = workgroupUniformLoad(&found);
  let shift = bits - digit_bits;
  let largest = (1u << digit_bits) - 1u;
  atomicStore(&counted[thread], 0u);
  workgroupBarrier();
  for (var i = thread; i < count; i += THREADS) {
    let weight = weights[first + candidates[first + i]];
    if ((weight >> bits) == (known.x >> bits)) {
      // Largest first.
      atomicAdd(&counted[largest - ((weight >> shift) & largest)], 1u);
    }
  }
  workgroupBarrier();
  let own = atomicLoad(&counted[thread]);
  let above = sum_before(own, thread);
  if (above < known.y && above + own >= known.y) {
    found = vec2u(known.x | ((largest - thread) << shift), known.y - above);
  }
}

fn sum_blocks(first_block: u32, count: u32, thread: u32) {
  for (var start = 0u; start < count; start += THREADS) {
    let sums = workgroupUniformLoad(&block_sums);
    let block = 2u * (first_block + start + thread);
    var own = vec2u();
    if (start + thread < count) {
      own = vec2u(atomicLoad(&blocks[block]), atomicLoad(&blocks[block + 1u]));
    }
    let before = sums + vec2u(sum_before(own.x, thread), sum_before(own.y, thread));
    if (start + thread < count) {
      atomicStore(&blocks[block], before.x);
      atomicStore(&blocks[block + 1u], before.y);
    }
    if (thread == THREADS - 1u) {
      block_sums = before + own;
    }
  }
}
