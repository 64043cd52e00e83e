// scores [T, Hq, S] of the kvLen tokens of every row, and the largest of each head. A workgroup per row, KV head and TOKENS tokens:
// each label is read once and meets the queries of the G heads that share it.
struct Parameters {
  sets: u32, // T·Hk
  Hk: u32,
  S: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> scores: array<i32>;
@group(0) @binding(2) var<storage, read_write> maxima: array<atomic<i32>>;
@group(0) @binding(3) var<storage, read> queries: array<u32>;
@group(0) @binding(4) var<storage, read> rows: array<Row>;
// use label
// use set_grid
// use rows
// use dot
// use reduce

const THREADS = 256u;
const WIDE_WORDS = WIDE / 8u;
const W = WIDE_WORDS + NARROW / 16u;
const QUERY_WORDS = 2u * WIDE_WORDS + 4u * (W - WIDE_WORDS);
const LEAST = -2147483648.0;
var<workgroup> asked: array<u32, G * QUERY_WORDS>;

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
  let row = rows[index / parameters.Hk];
  let first = group.x * TOKENS;
  let position = u32(row.position);
  if (first > position) {
    return;
  }
  for (var i = thread; i < G * QUERY_WORDS; i += THREADS) {
    asked[i] = queries[index * G * QUERY_WORDS + i];
  }
  workgroupBarrier();
  let head = (u32(row.slot) * parameters.Hk + index % parameters.Hk) * parameters.S;
  // Exact in f32: 127·15 of a code, and less than 2^13 of them.
  var largest: array<f32, G>;
  for (var q = 0u; q < G; q++) {
    largest[q] = LEAST;
  }
  for (var n = first + thread; n <= min(first + TOKENS - 1u, position); n += THREADS) {
    let label = load_label(head + select(n, u32(row.home), n == position));
    for (var q = 0u; q < G; q++) {
      let score = score_of(label, q * QUERY_WORDS);
      scores[(index * G + q) * parameters.S + n] = score;
      largest[q] = max(largest[q], f32(score));
    }
  }
  for (var q = 0u; q < G; q++) {
    let most = workgroup_max(largest[q], thread);
    if (thread == 0u) {
      atomicMax(&maxima[index * G + q], i32(most));
    }
  }
}

// Σ Q·code, the query at `query` of `asked`.
fn score_of(label: array<u32, W>, query: u32) -> i32 {
  var score = 0;
  for (var i = 0u; i < WIDE_WORDS; i++) {
    for (var part = 0u; part < 2u; part++) {
      score += dot_bytes(asked[query + 2u * i + part], (label[i] >> (4u * part)) & 0x0f0f0f0fu);
    }
  }
  for (var i = 0u; i < W - WIDE_WORDS; i++) {
    for (var part = 0u; part < 4u; part++) {
      let codes = (label[WIDE_WORDS + i] >> (2u * part)) & 0x03030303u;
      score += dot_bytes(asked[query + 2u * WIDE_WORDS + 4u * i + part], codes);
    }
  }
  return score;
}
