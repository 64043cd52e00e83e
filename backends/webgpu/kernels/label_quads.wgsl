// The words of a label, of which there is a multiple of four, four by four.
@group(0) @binding(5) var<storage, read> labels: array<vec4u>;

fn load_label(place: u32) -> array<u32, W> {
  var label: array<u32, W>;
  for (var i = 0u; i < W / 4u; i++) {
    let words = labels[place * (W / 4u) + i];
    label[4u * i] = words.x;
    label[4u * i + 1u] = words.y;
    label[4u * i + 2u] = words.z;
    label[4u * i + 3u] = words.w;
  }
  return label;
}
