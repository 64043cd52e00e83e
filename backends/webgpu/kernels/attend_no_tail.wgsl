const TAIL = false;

fn is_free(row: Row, list: u32, i: u32) -> bool {
  return false;
}

fn score_of(list: u32, i: u32, head: u32) -> f32 {
  return 0.0;
}
