// The words of a label, of which there is an even number, two by two.
@group(0) @binding(5) var<storage, read> labels: array<vec2u>;

fn load_label(place: u32) -> array<u32, W> {
  var label: array<u32, W>;
  for (var i = 0u; i < W / 2u; i++) {
    let words = labels[place * (W / 2u) + i];
    label[2u * i] = words.x;
    label[2u * i + 1u] = words.y;
  }
  return label;
}
