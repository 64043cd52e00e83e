// The words of a label.
@group(0) @binding(5) var<storage, read> labels: array<u32>;

fn load_label(place: u32) -> array<u32, W> {
  var label: array<u32, W>;
  for (var i = 0u; i < W; i++) {
    label[i] = labels[place * W + i];
  }
  return label;
}
