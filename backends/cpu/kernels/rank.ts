/** Bits of the least weight that is told from 0: 2^-28. Importance ends at 2^-24. */
export const LEAST_BITS: u32 = 99 << 23;

/** Bins that are added up at once in search of a rank. */
const GROUP: i32 = 64;

/** Of bins of 1/256 of a power of two, the one a weight falls into: 0 to 10,239 below 2^12. */
export function fineBin(weight: u32): i32 {
  return (max(weight, LEAST_BITS) - LEAST_BITS) >>> 15;
}

/** The least weight in a bin; 0 for the first. */
export function leastOfBin(bin: i32): f64 {
  return bin == 0 ? 0 : <f64> reinterpret<f32>((<u32> bin << 15) + LEAST_BITS);
}

/** From bin `lowest` to bin `highest`, and those that `binOfRank` adds up with them. */
export function clearBins(bins: usize, lowest: i32, highest: i32): void {
  const first = lowest & ~(GROUP - 1);
  memory.fill(bins + (<usize> first << 2), 0, <usize> ((highest | (GROUP - 1)) + 1 - first) << 2);
}

export function countInBins(bins: usize, weight: u32): void {
  const fine = bins + (<usize> fineBin(weight) << 2);
  store<u32>(fine, load<u32>(fine) + 1);
}

/** The bin that holds the `wanted`-th largest of what was counted from `lowest` to `highest`; there are as many. */
export function binOfRank(bins: usize, wanted: i32, lowest: i32, highest: i32): i32 {
  let left = wanted;
  let bin = (highest | (GROUP - 1)) + 1;
  while (bin > lowest) {
    let sums = i32x4.splat(0);
    const from = bins + (<usize> (bin - GROUP) << 2);
    for (let at: usize = 0; at < <usize> GROUP << 2; at += 16) sums = i32x4.add(sums, v128.load(from + at));
    const inside = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1) + i32x4.extract_lane(sums, 2) +
      i32x4.extract_lane(sums, 3);
    if (inside >= left) break;
    left -= inside;
    bin -= GROUP;
  }
  while (--bin > lowest) {
    left -= load<i32>(bins + (<usize> bin << 2));
    if (left <= 0) break;
  }
  return max(bin, 0);
}

/**
 * The `wanted`-th largest of `count` ≥ wanted values u32, byte by byte; how many of exactly that value are among them is left in
 * the first word of `bins`.
 */
export function valueOfRank(values: usize, count: i32, wanted: i32, bins: usize): u32 {
  const end = values + (<usize> count << 2);
  let value: u32 = 0;
  let known: u32 = 0;
  let left = wanted;
  for (let shift: u32 = 24;; shift -= 8) {
    memory.fill(bins, 0, 1024);
    for (let at = values; at < end; at += 4) {
      const one = load<u32>(at);
      if ((one & known) != value) continue;
      const bin = bins + (<usize> ((one >>> shift) & 255) << 2);
      store<u32>(bin, load<u32>(bin) + 1);
    }
    let byte: u32 = 255;
    while (byte > 0 && load<i32>(bins + (<usize> byte << 2)) < left) {
      left -= load<i32>(bins + (<usize> byte << 2));
      byte--;
    }
    value |= byte << shift;
    known |= <u32> 255 << shift;
    if (shift == 0) break;
  }
  store<i32>(bins, left);
  return value;
}
