// Blocks of 256 in 36 words: f16 scale and minimum scale, 8 scales and 8 minima of 6 bits in 3 words, 32 words of codes. The low
// halves of 8 words are a group of 32, the high halves the next.
@group(0) @binding(2) var<storage, read> weight: array<u32>;
// use units
// use bytes

const APART = 8u;

fn weight_unit(row: u32, u: u32) -> Unit {
  let at = (row * (parameters.I / 256u) + u / 32u) * 36u;
  let scales = unpack2x16float(weight[at]);
  // Of the two groups, side by side in bytes of these words.
  let shift = vec2u(0u, 8u) + 16u * (u / 8u % 2u);
  let first = vec2u(weight[at + 1u]) >> shift;
  let second = vec2u(weight[at + 2u]) >> shift;
  let third = vec2u(weight[at + 3u]) >> shift;
  let is_late = vec2<bool>(u % 32u >= 16u);
  let step = select(first & vec2u(63u), (third & vec2u(15u)) | ((first >> vec2u(2u)) & vec2u(48u)), is_late);
  let low = select(
    second & vec2u(63u),
    ((third >> vec2u(4u)) & vec2u(15u)) | ((second >> vec2u(2u)) & vec2u(48u)),
    is_late,
  );
  let steps = scales.x * vec2f(step);
  let lows = scales.y * vec2f(low);
  let codes = weight[at + 4u + u % 32u];
  return Unit(
    steps.x * unsigned_bytes(codes & 0x0f0f0f0fu) - lows.x,
    steps.y * unsigned_bytes((codes >> 4u) & 0x0f0f0f0fu) - lows.y,
  );
}
