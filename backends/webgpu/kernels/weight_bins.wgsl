// Weights sorted coarsely: those below 32 have a bin each, the others share one where the first 5 bits agree.
const BINS = 512u;
// Words per set: the bins, then the number of its candidates.
const BIN_WORDS = BINS + 1u;

fn bin_of(weight: u32) -> u32 {
  let extra = max(firstLeadingBit(weight | 1u), 4u) - 4u;
  return extra * 16u + (weight >> extra);
}

// Bits of a bin's weights that it does not tell.
fn free_bits_of(bin: u32) -> u32 {
  return max(bin / 16u, 1u) - 1u;
}

// The least weight of a bin.
fn least_of(bin: u32) -> u32 {
  let extra = free_bits_of(bin);
  return (bin - extra * 16u) << extra;
}
