// others [T, H] of D4 + 1 fours: a header (tokens not selected, tokens selected and not forced), then the mean V of the tokens
// not selected: ΣV of all, from the last entry of valueSums on, less that of the selected. A workgroup per row and set.
struct Parameters {
  T: u32,
  Hq: u32,
  Hk: u32,
  H: u32,
  S: u32,
  entries: u32, // of valueSums, per head
  shares: u32,
  first: u32, // of [slots · Hk] in this binding of kv
  held: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> others: array<vec4f>;
@group(0) @binding(2) var<storage, read> parts: array<vec4f>;
@group(0) @binding(3) var<storage, read> rows: array<Row>;
@group(0) @binding(4) var<storage, read> kv: array<KvFour>;
@group(0) @binding(5) var<storage, read> value_sums: array<vec4f>;
// use kv
// use rows
// use attend_part
// use spread

const THREADS = 128u;
const STRANDS = THREADS / D4;
const BLOCK = 64u; // tokens per entry of valueSums
var<workgroup> sums: array<vec4f, THREADS>;

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let list = item(group, groups);
  if (list >= parameters.T * parameters.H) {
    return;
  }
  let row = rows[list / parameters.H];
  let slot_head = u32(row.slot) * parameters.Hk + list % parameters.H * parameters.Hk / parameters.H;
  let entry = slot_head - parameters.first;
  if (entry >= parameters.held) {
    return;
  }
  let position = u32(row.position);
  let first_part = (parameters.T * parameters.Hq + list) * parameters.shares;
  let chunk = thread % D4;
  let strand = thread / D4;

  var sum = vec4f();
  let summed = position / BLOCK;
  if (strand == 0u) {
    sum = value_sums[(slot_head * parameters.entries + summed) * D4 + chunk] + value_of(entry, u32(row.home), chunk);
  }
  for (var n = summed * BLOCK + strand; n < position; n += STRANDS) {
    sum += value_of(entry, n, chunk);
  }
  var tokens = vec2f();
  for (var share = 0u; share < parameters.shares; share++) {
    let part = (first_part + share) * PART;
    let header = parts[part];
    tokens += header.xy;
    if (header.x > 0.0 && share % STRANDS == strand) {
      sum -= parts[part + 1u + chunk];
    }
  }
  sums[thread] = sum;
  workgroupBarrier();
  if (strand == 0u) {
    for (var i = 1u; i < STRANDS; i++) {
      sum += sums[i * D4 + chunk];
    }
    let left = f32(position + 1u) - tokens.x;
    others[list * PART + 1u + chunk] = sum / max(left, 1.0);
    if (chunk == 0u) {
      others[list * PART] = vec4f(left, tokens.y, 0.0, 0.0);
    }
  }
}

fn value_of(entry: u32, place: u32, chunk: u32) -> vec4f {
  return values_of(kv[((entry * parameters.S + place) * 2u + 1u) * D4 + chunk]);
}
