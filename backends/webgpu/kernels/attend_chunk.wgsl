// Attention of a prefill chunk: rows at consecutive positions of one slot, over a share of the tokens they see. A workgroup per
// [LINES lines, KV head, share], a line being one row and one query head of the KV head's, the heads of a row next to each other.
// In tiles of TILE tokens: a thread makes the logits of 4 lines over 4 tokens, then the weights of a line, then sums the values of
// OWNED lines over 4 channels.
struct Parameters {
  T: u32,
  Hq: u32,
  Hk: u32,
  S: u32,
  shares: u32,
  first: u32, // of [slots · Hk] in this binding
  held: u32,
  window: u32,
  scale: f32,
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

const THREADS = 64u;
const KEY_PITCH = D4 + 1u;
// Four tokens each, QUADS apart: neighbours would meet in the same banks.
const QUADS = TILE / 4u;
const PITCH = QUADS + 1u;
const STRANDS = THREADS / D4;

var<workgroup> keys: array<vec4f, TILE * KEY_PITCH>;
// Logits, then weights.
var<workgroup> weights: array<vec4f, LINES * PITCH>;
var<workgroup> factors: array<f32, LINES>;
var<workgroup> headers: array<vec4f, LINES>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let kv_head = group.y;
  let share = group.z;
  let row = rows[0];
  let entry = u32(row.slot) * parameters.Hk + kv_head - parameters.first;
  if (entry >= parameters.held) {
    return;
  }
  let heads = parameters.Hq / parameters.Hk;
  let lines = parameters.T * heads;
  // The last rows see the most tokens, so they begin first.
  let first_line = (groups.x - 1u - group.x) * LINES;
  let position = u32(row.position);
  let last = position + min(parameters.T - 1u, (first_line + LINES - 1u) / heads);
  let first_seen = oldest(position + first_line / heads);
  let per_share = (last + 1u - first_seen + TILE * parameters.shares - 1u) / (TILE * parameters.shares) * TILE;
  let begin = first_seen + share * per_share;
  let end = min(last + 1u, begin + per_share);
  if (!WHOLE && begin >= end) {
    if (thread < LINES && first_line + thread < lines) {
      result[(head_of(first_line + thread, kv_head, heads) * parameters.shares + share) * PART] = vec4f();
    }
    return;
  }
  let cached = entry * parameters.S * 2u * D4;

  let asked_quad = thread % QUADS;
  let asked_line = thread / QUADS * 4u;
  let heads_before = parameters.Hq + 2u * parameters.Hk;
  var queries = vec4u();
  for (var l = 0u; l < 4u; l++) {
    let line = min(first_line + asked_line + l, lines - 1u);
    queries[l] = (line / heads * heads_before + kv_head * heads + line % heads) * D4;
  }
  var maximum = LOWEST;
  var sum = 0.0;
  let chunk = thread % D4;
  let owned = thread / D4 * OWNED;
  var totals = array<vec4f, OWNED>();

  for (var start = begin; start < end; start += TILE) {
    for (var i = thread; i < TILE * D4; i += THREADS) {
      let n = min(start + i / D4, end - 1u);
      keys[i / D4 * KEY_PITCH + i % D4] = values_of(kv[cached + n * 2u * D4 + i % D4]);
    }
    workgroupBarrier();

    if (asked_line < LINES) {
      var dots_0 = vec4f();
      var dots_1 = vec4f();
      var dots_2 = vec4f();
      var dots_3 = vec4f();
      for (var c = 0u; c < D4; c++) {
        let key = asked_quad * KEY_PITCH + c;
        let key_0 = keys[key];
        let key_1 = keys[key + QUADS * KEY_PITCH];
        let key_2 = keys[key + 2u * QUADS * KEY_PITCH];
        let key_3 = keys[key + 3u * QUADS * KEY_PITCH];
        let query_0 = qkv[queries.x + c];
        let query_1 = qkv[queries.y + c];
        let query_2 = qkv[queries.z + c];
        let query_3 = qkv[queries.w + c];
        dots_0 += vec4f(dot(query_0, key_0), dot(query_0, key_1), dot(query_0, key_2), dot(query_0, key_3));
        dots_1 += vec4f(dot(query_1, key_0), dot(query_1, key_1), dot(query_1, key_2), dot(query_1, key_3));
        dots_2 += vec4f(dot(query_2, key_0), dot(query_2, key_1), dot(query_2, key_2), dot(query_2, key_3));
        dots_3 += vec4f(dot(query_3, key_0), dot(query_3, key_1), dot(query_3, key_2), dot(query_3, key_3));
      }
      let dots = array(dots_0, dots_1, dots_2, dots_3);
      let n = start + asked_quad + vec4u(0u, QUADS, 2u * QUADS, 3u * QUADS);
      for (var l = 0u; l < 4u; l++) {
        let asking = position + (first_line + asked_line + l) / heads;
        let is_seen = (n < vec4u(end)) & (n <= vec4u(asking)) & (n >= vec4u(oldest(asking)));
        weights[(asked_line + l) * PITCH + asked_quad] = select(vec4f(LOWEST), dots[l] * parameters.scale, is_seen);
      }
    }
    workgroupBarrier();

    if (thread < LINES) {
      let before = maximum;
      for (var quad = 0u; quad < QUADS; quad++) {
        let four = weights[thread * PITCH + quad];
        maximum = max(maximum, max(max(four.x, four.y), max(four.z, four.w)));
      }
      let factor = exp(before - maximum);
      sum *= factor;
      for (var quad = 0u; quad < QUADS; quad++) {
        let four = weights[thread * PITCH + quad];
        let weight = select(vec4f(), exp(four - maximum), four > vec4f(LOWEST));
        weights[thread * PITCH + quad] = weight;
        sum += weight.x + weight.y + weight.z + weight.w;
      }
      factors[thread] = factor;
    }
    workgroupBarrier();

    if (owned < LINES) {
      for (var l = 0u; l < OWNED; l++) {
        totals[l] *= factors[owned + l];
      }
      for (var quad = 0u; quad < QUADS; quad++) {
        let n = start + quad;
        let value_0 = value_of(cached, min(n, end - 1u), chunk);
        let value_1 = value_of(cached, min(n + QUADS, end - 1u), chunk);
        let value_2 = value_of(cached, min(n + 2u * QUADS, end - 1u), chunk);
        let value_3 = value_of(cached, min(n + 3u * QUADS, end - 1u), chunk);
        for (var l = 0u; l < OWNED; l++) {
          let weight = weights[(owned + l) * PITCH + quad];
          totals[l] += weight.x * value_0 + weight.y * value_1 + weight.z * value_2 + weight.w * value_3;
        }
      }
    }
  }

  if (thread < LINES) {
    headers[thread] = vec4f(maximum, sum, 0.0, 0.0);
  }
  workgroupBarrier();
  for (var l = 0u; l < OWNED; l++) {
    let line = owned + l;
    if (line < LINES && first_line + line < lines) {
      let head = head_of(first_line + line, kv_head, heads);
      let header = headers[line];
      if (WHOLE) {
        result[head * D4 + chunk] = totals[l] / header.y;
      } else {
        let part = (head * parameters.shares + share) * PART;
        result[part + 1u + chunk] = totals[l];
        if (chunk == 0u) {
          result[part] = header;
        }
      }
    }
  }
}

// The first token that the row at `position` sees.
fn oldest(position: u32) -> u32 {
  return select(0u, position + 1u - min(parameters.window, position + 1u), parameters.window > 0u);
}

// Of [T, Hq].
fn head_of(line: u32, kv_head: u32, heads: u32) -> u32 {
  return line / heads * parameters.Hq + kv_head * heads + line % heads;
}

fn value_of(cached: u32, n: u32, chunk: u32) -> vec4f {
  return values_of(kv[cached + (n * 2u + 1u) * D4 + chunk]);
}
