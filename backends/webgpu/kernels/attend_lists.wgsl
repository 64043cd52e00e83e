// The selected tokens of a row's set.
@group(0) @binding(5) var<storage, read> indices: array<i32>;
@group(0) @binding(6) var<storage, read> counts: array<i32>;

fn token_count(row: Row, list: u32) -> u32 {
  return u32(counts[list]);
}

fn place_of(list: u32, i: u32) -> i32 {
  return indices[list * parameters.K + i];
}
