// Entry j of sums [slots, Hk, entries, d] for every row at position 64·j - 1, as its home: entry j - 1 and the 64 values after
// it. A workgroup per row and KV head; the first row of a slot to complete an entry goes on to the entries right after, each of
// which builds on the one before. This binding of kv holds `held` of the slots · Hk heads from `first` on.
struct Parameters {
  T: u32,
  Hk: u32,
  d: u32,
  S: u32,
  entries: u32,
  first: u32,
  held: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<storage, read> kv: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<Row>;
// use kv_word
// use rows
// use spread

const THREADS = 64u;
const BLOCK = 64u;
var<workgroup> is_found: u32;

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
  let row = rows[index / Hk];
  let head = u32(row.slot) * Hk + index % Hk;
  // Below zero, as unsigned, where the head lies in a chunk before.
  let held = head - parameters.first;
  if (held >= parameters.held || row.home != row.position || (u32(row.position) + 1u) % BLOCK != 0u) {
    return;
  }
  if (has_row(row.slot, row.position - i32(BLOCK), thread)) {
    return;
  }
  var entry = (u32(row.position) + 1u) / BLOCK;
  loop {
    if (entry >= parameters.entries) {
      break;
    }
    add_block(head, held, entry, thread);
    entry++;
    if (!has_row(row.slot, i32(entry * BLOCK) - 1, thread)) {
      break;
    }
  }
}

// Whether a row of the step is that token of the slot, not a private one.
fn has_row(slot: i32, position: i32, thread: u32) -> bool {
  if (thread == 0u) {
    is_found = 0u;
  }
  workgroupBarrier();
  for (var t = thread; t < parameters.T; t += THREADS) {
    if (rows[t].slot == slot && rows[t].position == position && rows[t].home == position) {
      is_found = 1u;
    }
  }
  return workgroupUniformLoad(&is_found) == 1u;
}

// Eight sums of eight, always in this order, so that how a text is cut into steps moves no bit.
fn add_block(head: u32, held: u32, entry: u32, thread: u32) {
  let d = parameters.d;
  let row_words = (d + VALUES_PER_WORD - 1u) / VALUES_PER_WORD;
  let place = held * parameters.S + (entry - 1u) * BLOCK;
  let to = (head * parameters.entries + entry) * d;
  for (var word = thread; word < row_words; word += THREADS) {
    let first = (place * 2u + 1u) * row_words + word;
    let stride = 2u * row_words;
    var total = vec2f();
    for (var n = 0u; n < BLOCK; n += 8u) {
      let source = first + n * stride;
      let a = unpack_word(kv[source]) + unpack_word(kv[source + stride]);
      let b = unpack_word(kv[source + 2u * stride]) + unpack_word(kv[source + 3u * stride]);
      let c = unpack_word(kv[source + 4u * stride]) + unpack_word(kv[source + 5u * stride]);
      let e = unpack_word(kv[source + 6u * stride]) + unpack_word(kv[source + 7u * stride]);
      total += (a + b) + (c + e);
    }
    let channel = word * VALUES_PER_WORD;
    sums[to + channel] = sums[to - d + channel] + total.x;
    if (VALUES_PER_WORD == 2u && channel + 1u < d) {
      sums[to + channel + 1u] = sums[to - d + channel + 1u] + total.y;
    }
  }
}
