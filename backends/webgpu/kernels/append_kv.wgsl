// K and V of the rows' heads of qkv [T, Hq + 2·Hk, d], and the label of each K, at the rows' homes. A workgroup per row and KV
// head; this binding of kv holds `entries` of the slots · Hk heads from `first` on.
struct Parameters {
  T: u32,
  Hq: u32,
  Hk: u32,
  d: u32,
  S: u32,
  first: u32,
  entries: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> kv: array<u32>;
// As bits, which a float passing through need not keep.
@group(0) @binding(2) var<storage, read> qkv: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<Row>;
// use append_label
// use kv_word
// use rows
// use spread

const THREADS = 64u;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = item(group, groups);
  let Hk = parameters.Hk;
  if (index >= parameters.T * Hk) {
    return;
  }
  let t = index / Hk;
  let h = index % Hk;
  let row = rows[t];
  let head = u32(row.slot) * Hk + h;
  // Below zero, as unsigned, where the head lies in a chunk before.
  let entry = head - parameters.first;
  if (entry >= parameters.entries) {
    return;
  }
  let d = parameters.d;
  let row_words = (d + VALUES_PER_WORD - 1u) / VALUES_PER_WORD;
  let key = (t * (parameters.Hq + 2u * Hk) + parameters.Hq + h) * d;
  let place = (entry * parameters.S + u32(row.home)) * 2u * row_words;
  for (var word = thread; word < 2u * row_words; word += THREADS) {
    let is_value = word >= row_words;
    let source = key + select(0u, Hk * d, is_value);
    let c = (word - select(0u, row_words, is_value)) * VALUES_PER_WORD;
    let second = select(0u, qkv[source + min(c + 1u, d - 1u)], c + 1u < d);
    kv[place + word] = pack_word(qkv[source + c], second);
  }
  append_label(h, head * parameters.S + u32(row.home), key, thread);
}
