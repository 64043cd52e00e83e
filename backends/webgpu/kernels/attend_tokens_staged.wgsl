// The selected tokens, from staging [T, Hk, K, 2, d]; the row itself, missing there, from the cache.
// use attend_lists
@group(0) @binding(7) var<storage, read> staging: array<KvFour>;

// A binding has fewer fours than need this bit.
const STAGED = 0x80000000u;

// Where the K of token i of the list lies, in fours; V is D4 further on.
fn token_at(row: Row, list: u32, i: u32, cached: u32) -> u32 {
  if (place_of(list, i) == row.position) {
    return cached + u32(row.home) * 2u * D4;
  }
  return STAGED | ((list * parameters.K + i) * 2u * D4);
}

fn four(at: u32) -> vec4f {
  if ((at & STAGED) != 0u) {
    return values_of(staging[at & ~STAGED]);
  }
  return values_of(kv[at]);
}
