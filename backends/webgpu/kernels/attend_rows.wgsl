// Attention of one row over a share of its tokens, HEADS query heads of one set together, so that every K and V is read once.
// A workgroup per [share, row, set and HEADS of its heads]. In tiles of TILE tokens: LANES threads make the products of a token,
// then the threads are HEADS × TILE to sum and to weigh them, then D4 × STRANDS for the values.
struct Parameters {
  Hq: u32,
  Hk: u32,
  H: u32, // sets of tokens: Hk, or Hq
  S: u32,
  K: u32, // room for the tokens of a set
  shares: u32,
  workgroups_per_set: u32,
  first: u32, // of [slots · Hk] in this binding
  held: u32,
  window: u32,
  scale: f32,
  sink_tokens: u32,
  recent_tokens: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
// Parts, or where WHOLE the attention itself [T, Hq, D4].
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(3) var<storage, read> kv: array<KvFour>;
@group(0) @binding(4) var<storage, read> rows: array<Row>;
// use kv
// use rows
// use attend_part
// use attend_tokens
// use attend_no_tail

const THREADS = 128u;
const TILE = THREADS / LANES;
const STRANDS = THREADS / D4;
const STEPS = (TILE + STRANDS - 1u) / STRANDS;
const PAIRS = (HEADS * TILE + THREADS - 1u) / THREADS;
// Sums of values: of every head, and for the tail of all tokens alike.
const SUMS = HEADS + select(0u, 1u, TAIL);
// Eight, or sixteen, banks further on, so that the lanes of a subgroup meet in none.
const LANE_PITCH = HEADS * TILE + 32u / LANES;
const FREE = 2u * HEADS * TILE;
const WORDS = max(max(LANES * LANE_PITCH, FREE + TILE), 8u * THREADS);

var<workgroup> queries: array<vec4f, HEADS * D4>;
var<workgroup> places: array<u32, 2u * TILE>;
var<workgroup> products: array<f32, WORDS>;
var<workgroup> weights: array<f32, HEADS * TILE>;
var<workgroup> maxima: array<atomic<i32>, HEADS>;
var<workgroup> strand_sums: array<f32, 2u * STRANDS>;
var<workgroup> tail_sums: array<f32, 2u * HEADS + 1u>;

// Integers in the order of the floats.
fn order_of(value: f32) -> i32 {
  let bits = bitcast<i32>(value);
  return select(bits, bits ^ 0x7fffffff, bits < 0);
}

fn in_order(order: i32) -> f32 {
  return bitcast<f32>(select(order, order ^ 0x7fffffff, order < 0));
}

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let share = group.x;
  let t = group.y;
  let set_index = group.z / parameters.workgroups_per_set;
  let first_head = group.z % parameters.workgroups_per_set * HEADS;
  let heads = parameters.Hq / parameters.H;
  let list = t * parameters.H + set_index;
  let head_index = t * parameters.Hq + set_index * heads + first_head;
  let row = rows[t];
  let entry = u32(row.slot) * parameters.Hk + set_index * parameters.Hk / parameters.H - parameters.first;
  if (entry >= parameters.held) {
    return;
  }
  let cached = entry * parameters.S * 2u * D4;
  let count = token_count(row, list);
  let per_share = (count + TILE * parameters.shares - 1u) / (TILE * parameters.shares) * TILE;
  let begin = share * per_share;
  let end = min(count, begin + per_share);
  if (!WHOLE && begin >= end) {
    if (thread < SUMS && is_own(thread, first_head, heads)) {
      result[part_of(thread, head_index, list, share, groups.y) * PART] = vec4f();
    }
    return;
  }

  for (var i = thread; i < HEADS * D4; i += THREADS) {
    if (first_head + i / D4 < heads) {
      let asked = t * (parameters.Hq + 2u * parameters.Hk) + set_index * heads + first_head;
      queries[i] = qkv[asked * D4 + i] * parameters.scale;
    }
  }
  if (thread < HEADS) {
    atomicStore(&maxima[thread], order_of(LOWEST));
  }
  workgroupBarrier();

  let lane = thread % LANES;
  let chunk = thread % D4;
  let strand = thread / D4;
  var before: array<f32, HEADS>;
  var sums: array<f32, HEADS>;
  var totals: array<vec4f, SUMS>;
  var logit_sums: array<f32, PAIRS>;
  var score_sums: array<f32, PAIRS>;
  var free_tokens = 0.0;
  for (var h = 0u; h < HEADS; h++) {
    before[h] = LOWEST;
  }

  var here = 0u; // the half of `places` in use: the other may still be read
  for (var start = begin; start < end; start += TILE) {
    {
      let token = thread / LANES;
      let at = token_at(row, list, min(start + token, end - 1u), cached);
      if (lane == 0u) {
        places[here + token] = at;
      }
      var dots = array<f32, HEADS>();
      for (var c = lane; c < D4; c += LANES) {
        let key = four(at + c);
        for (var h = 0u; h < HEADS; h++) {
          dots[h] += dot(queries[h * D4 + c], key);
        }
      }
      for (var h = 0u; h < HEADS; h++) {
        products[lane * LANE_PITCH + h * TILE + token] = dots[h];
      }
    }
    workgroupBarrier();

    var logits = array<f32, PAIRS>();
    for (var p = 0u; p < PAIRS; p++) {
      let pair = thread + p * THREADS;
      let i = start + pair % TILE;
      let h = pair / TILE;
      logits[p] = LOWEST;
      if (h < HEADS && i < end) {
        var logit = products[pair];
        for (var l = 1u; l < LANES; l++) {
          logit += products[l * LANE_PITCH + pair];
        }
        logits[p] = logit;
        atomicMax(&maxima[h], order_of(logit));
        if (first_head + h < heads && is_free(row, list, i)) {
          logit_sums[p] += logit;
          score_sums[p] += score_of(list, i, head_index + h);
          free_tokens += f32(h == 0u);
        }
      }
    }
    workgroupBarrier();

    for (var p = 0u; p < PAIRS; p++) {
      let pair = thread + p * THREADS;
      if (pair < HEADS * TILE) {
        let weight = exp(logits[p] - in_order(atomicLoad(&maxima[pair / TILE])));
        weights[pair] = select(0.0, weight, start + pair % TILE < end);
      }
    }
    workgroupBarrier();

    for (var h = 0u; h < HEADS; h++) {
      let maximum = in_order(atomicLoad(&maxima[h]));
      if (maximum != before[h]) {
        let factor = exp(before[h] - maximum);
        sums[h] *= factor;
        totals[h] *= factor;
        before[h] = maximum;
      }
    }
    for (var step = 0u; step < STEPS; step++) {
      let token = strand + step * STRANDS;
      if (strand < STRANDS && token < TILE) {
        let value = four(places[here + token] + D4 + chunk);
        for (var h = 0u; h < HEADS; h++) {
          let weight = weights[h * TILE + token];
          sums[h] += weight;
          totals[h] += weight * value;
        }
        if (TAIL) {
          totals[SUMS - 1u] += f32(start + token < end) * value;
        }
      }
    }
    here = TILE - here;
  }

  if (TAIL) {
    for (var p = 0u; p < PAIRS; p++) {
      let pair = thread + p * THREADS;
      if (pair < HEADS * TILE) {
        products[pair] = logit_sums[p];
        products[HEADS * TILE + pair] = score_sums[p];
      }
    }
    if (thread < TILE) {
      products[FREE + thread] = free_tokens;
    }
    workgroupBarrier();
    if (thread <= 2u * HEADS) {
      var sum = 0.0;
      for (var i = 0u; i < TILE; i++) {
        sum += products[thread * TILE + i];
      }
      tail_sums[thread] = sum;
    }
    workgroupBarrier();
  }

  // The sums over the strands, in the two halves of `products` by turns.
  for (var h = 0u; h < SUMS; h++) {
    let base = h % 2u * 4u * THREADS + thread;
    products[base] = totals[h].x;
    products[base + THREADS] = totals[h].y;
    products[base + 2u * THREADS] = totals[h].z;
    products[base + 3u * THREADS] = totals[h].w;
    if (chunk == 0u && h < HEADS && strand < STRANDS) {
      strand_sums[h % 2u * STRANDS + strand] = sums[h];
    }
    workgroupBarrier();
    if (strand == h % STRANDS && is_own(h, first_head, heads)) {
      var total = vec4f();
      var sum = 0.0;
      for (var i = 0u; i < STRANDS; i++) {
        let one = h % 2u * 4u * THREADS + i * D4 + chunk;
        total += vec4f(
          products[one],
          products[one + THREADS],
          products[one + 2u * THREADS],
          products[one + 3u * THREADS],
        );
        sum += strand_sums[h % 2u * STRANDS + i];
      }
      if (WHOLE) {
        result[(head_index + h) * D4 + chunk] = total / sum;
      } else {
        let part = part_of(h, head_index, list, share, groups.y) * PART;
        result[part + 1u + chunk] = total;
        if (chunk == 0u) {
          if (h < HEADS) {
            result[part] = vec4f(before[h], sum, tail_sums[h], tail_sums[HEADS + h]);
          } else {
            result[part] = vec4f(f32(end - begin), tail_sums[2u * HEADS], 0.0, 0.0);
          }
        }
      }
    }
  }
}

// Whether head h of the workgroup's exists; h = HEADS is their set, which the workgroup of its first heads sees to.
fn is_own(h: u32, first_head: u32, heads: u32) -> bool {
  return select(first_head + h < heads, first_head == 0u, h == HEADS);
}

// The part of head h of the workgroup's, or for h = HEADS of its set, among those of all T rows.
fn part_of(h: u32, head_index: u32, list: u32, share: u32, T: u32) -> u32 {
  return select(head_index + h, T * parameters.Hq + list, h == HEADS) * parameters.shares + share;
}
