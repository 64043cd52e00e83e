// What a token is worth to a query head, by the integer rule of core/importance.ts.
var<workgroup> terms: array<u32, 256>;

fn load_importance_table(thread: u32) {
  for (var f = thread; f < 256u; f += THREADS) {
    terms[f] = importance_table[f];
  }
}

// Of a token whose score is `z` below the head's largest, in units of 2^-24.
fn importance(z: u32, exponent: i32) -> u32 {
  let y = scaled(z, parameters.shift + exponent);
  return select(0u, terms[y & 255u] >> min(y >> 8u, 31u), y < 25u * 256u);
}

// z·multiplier >> shift, left where that is negative; all above 32 bits is the largest there is.
fn scaled(z: u32, shift: i32) -> u32 {
  let low_part = (z & 0xffffu) * parameters.multiplier;
  let high_part = (z >> 16u) * parameters.multiplier;
  let low = low_part + (high_part << 16u);
  let high = (high_part >> 16u) + select(0u, 1u, low < low_part);
  if (shift >= 32) {
    return 0u;
  }
  if (shift > 0) {
    let right = u32(shift);
    return select(0xffffffffu, (low >> right) | (high << (32u - right)), (high >> right) == 0u);
  }
  let left = u32(-shift);
  let fits = high == 0u && (low == 0u || left <= countLeadingZeros(low));
  return select(0xffffffffu, low << min(left, 31u), fits);
}
