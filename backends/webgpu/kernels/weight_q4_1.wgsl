// Blocks of 32 in 5 words: f16 scale, f16 offset, 16 bytes of codes; columns 16 to 31 in the high halves.
@group(0) @binding(2) var<storage, read> weight: array<u32>;
// use units
// use bytes

const APART = 4u;

fn weight_unit(row: u32, u: u32) -> Unit {
  let at = (row * (parameters.I / 32u) + u / 4u) * 5u;
  let scale_offset = unpack2x16float(weight[at]);
  let codes = weight[at + 1u + u % 4u];
  return Unit(
    scale_offset.x * unsigned_bytes(codes & 0x0f0f0f0fu) + scale_offset.y,
    scale_offset.x * unsigned_bytes((codes >> 4u) & 0x0f0f0f0fu) + scale_offset.y,
  );
}
