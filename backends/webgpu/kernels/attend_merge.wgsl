// out [T, Hq, D4] ← the shares of each head's attention put together. A workgroup per row and head.
struct Parameters {
  T: u32,
  Hq: u32,
  H: u32,
  shares: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(2) var<storage, read> parts: array<vec4f>;
// use attend_part
// use attend_merge_plain
// use spread
// use reduce

const THREADS = 128u;
const STRANDS = THREADS / D4;
var<workgroup> totals: array<vec4f, THREADS>;

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = item(group, groups);
  // Out of range alike in all threads of a workgroup, which must meet at the barriers.
  let is_head = index < parameters.T * parameters.Hq;
  let head = select(0u, index, is_head);
  let first = head * parameters.shares;
  var seen = LOWEST;
  for (var share = thread; share < parameters.shares; share += THREADS) {
    let header = parts[(first + share) * PART];
    seen = max(seen, select(LOWEST, header.x, header.y > 0.0));
  }
  let maximum = workgroup_max(seen, thread);
  var part_sum = 0.0;
  var logits = 0.0;
  var scores = 0.0;
  for (var share = thread; share < parameters.shares; share += THREADS) {
    let header = parts[(first + share) * PART];
    if (header.y > 0.0) {
      part_sum += header.y * exp(header.x - maximum);
      logits += header.z;
      scores += header.w;
    }
  }
  let sum = workgroup_sum(part_sum, thread);
  let weight = tail_weight(head, maximum, sum, logits, scores, thread);

  let chunk = thread % D4;
  let strand = thread / D4;
  var total = vec4f();
  for (var share = strand; share < parameters.shares; share += STRANDS) {
    let part = (first + share) * PART;
    let header = parts[part];
    if (header.y > 0.0) {
      total += exp(header.x - maximum) * parts[part + 1u + chunk];
    }
  }
  totals[thread] = total;
  workgroupBarrier();
  if (strand == 0u && is_head) {
    for (var i = 1u; i < STRANDS; i++) {
      total += totals[i * D4 + chunk];
    }
    out[head * D4 + chunk] = (total + weight * tail_value(head, chunk)) / (sum + weight);
  }
}
