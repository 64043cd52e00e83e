// The rows of the step. kvLen of a row is position + 1; the row itself lies at `home`.
struct Row {
  token: i32,
  slot: i32,
  position: i32,
  home: i32,
}
