// Every token that a row sees, from the cache.
fn token_count(row: Row, list: u32) -> u32 {
  let kv_len = u32(row.position) + 1u;
  return select(kv_len, min(kv_len, parameters.window), parameters.window > 0u);
}

// Where the K of token i of the list lies, in fours; V is D4 further on.
fn token_at(row: Row, list: u32, i: u32, cached: u32) -> u32 {
  let n = u32(row.position) + 1u - token_count(row, list) + i;
  return cached + select(n, u32(row.home), n == u32(row.position)) * 2u * D4;
}

fn four(at: u32) -> vec4f {
  return values_of(kv[at]);
}
