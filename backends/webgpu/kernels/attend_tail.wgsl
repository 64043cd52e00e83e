// The labels' scores of the selected tokens.
@group(0) @binding(SCORES) var<storage, read> scores: array<i32>;

const TAIL = true;

// Whether token i of the list was chosen, not forced.
fn is_free(row: Row, list: u32, i: u32) -> bool {
  let n = place_of(list, i);
  return n >= i32(parameters.sink_tokens) && n < row.position - i32(parameters.recent_tokens);
}

// Of head `head` of [T · Hq].
fn score_of(list: u32, i: u32, head: u32) -> f32 {
  return f32(scores[head * parameters.S + u32(place_of(list, i))]);
}
