// A cache without labels.
fn append_label(h: u32, place: u32, key: u32, thread: u32) {
}
