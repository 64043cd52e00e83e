// The int8 query of each head of qkv [T, Hq + 2·Hk, d], a workgroup each: its exponent, and its C codes in the order in which
// score_labels.wgsl meets the label's: four to a word, the nibbles of a wide word at bits 0 and 4 of its bytes, then the codes of
// a narrow word at bits 0, 2, 4 and 6. Integer arithmetic on the bits of w, so that every device rounds alike.
struct Parameters {
  T: u32,
  heads: u32, // Hq + 2·Hk
  Hq: u32,
  g: u32,
  d: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> queries: array<u32>;
@group(0) @binding(2) var<storage, read_write> exponents: array<i32>;
@group(0) @binding(3) var<storage, read_write> maxima: array<i32>;
@group(0) @binding(4) var<storage, read> qkv: array<f32>;
@group(0) @binding(5) var<storage, read> channels: array<i32>;
@group(0) @binding(6) var<storage, read> step: array<f32>;
// use spread

const THREADS = 64u;
const C = WIDE + NARROW;
const INFINITY = 0x7f800000u;
var<workgroup> w: array<u32, C>;
var<workgroup> largest: atomic<u32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = item(group, groups);
  if (index >= parameters.T * parameters.Hq) {
    return;
  }
  let q = index % parameters.Hq;
  let query = (index / parameters.Hq * parameters.heads + q) * parameters.d;
  let first = q / parameters.g * C;
  if (thread == 0u) {
    atomicStore(&largest, 0u);
  }
  workgroupBarrier();
  for (var c = thread; c < C; c += THREADS) {
    let bits = bitcast<u32>(qkv[query + u32(channels[first + c])] * step[first + c]);
    w[c] = bits;
    let magnitude = bits & 0x7fffffffu;
    if (magnitude <= INFINITY) {
      atomicMax(&largest, magnitude);
    }
  }
  workgroupBarrier();
  let most = atomicLoad(&largest);
  let is_finite = most > 0u && most < INFINITY;
  let exponent = select(0, 6 - floor_log2(most), is_finite);
  for (var word = thread; word < C / 4u; word += THREADS) {
    let is_wide = word < WIDE / 4u;
    let narrow = word - WIDE / 4u;
    let base = select(WIDE + narrow / 4u * 16u + narrow % 4u, word / 2u * 8u + word % 2u, is_wide);
    let stride = select(4u, 2u, is_wide);
    var codes = 0u;
    for (var byte = 0u; byte < 4u; byte++) {
      codes |= (u32(code_of(w[base + byte * stride], exponent)) & 255u) << (8u * byte);
    }
    queries[index * (C / 4u) + word] = select(0u, codes, is_finite);
  }
  if (thread == 0u) {
    exponents[index] = exponent;
    maxima[index] = -2147483647 - 1;
  }
}

// ⌊log2⌋ of the f32 with these bits, which is positive and finite.
fn floor_log2(bits: u32) -> i32 {
  let field = bits >> 23u;
  return select(i32(firstLeadingBit(bits)) - 149, i32(field) - 127, field > 0u);
}

// w·2^exponent to the nearest integer, halves to the even one, within ±127; 0 where w is NaN.
fn code_of(bits: u32, exponent: i32) -> i32 {
  let field = (bits >> 23u) & 255u;
  if (field == 255u) {
    return 0;
  }
  let mantissa = (bits & 0x7fffffu) | select(0u, 0x800000u, field > 0u);
  let shift = 150 - max(i32(field), 1) - exponent;
  var code = 0u;
  if (shift <= 0) {
    code = mantissa << u32(-shift);
  } else if (shift < 25) {
    let rest = mantissa & ((1u << u32(shift)) - 1u);
    let middle = 1u << u32(shift - 1);
    code = mantissa >> u32(shift);
    code += select(0u, 1u, rest > middle || (rest == middle && (code & 1u) == 1u));
  }
  let magnitude = i32(min(code, 127u));
  return select(magnitude, -magnitude, (bits >> 31u) == 1u);
}
