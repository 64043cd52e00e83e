// The selected tokens, from the cache.
// use attend_lists

// Where the K of token i of the list lies, in fours; V is D4 further on.
fn token_at(row: Row, list: u32, i: u32, cached: u32) -> u32 {
  let n = place_of(list, i);
  return cached + u32(select(n, row.home, n == row.position)) * 2u * D4;
}

fn four(at: u32) -> vec4f {
  return values_of(kv[at]);
}
