/* Weights sorted coarsely: those below 128 have a bin each, the others share one where the first 7 bits agree. */
#pragma once

#include "device.cuh"

namespace ds {

/* Enough for weights of 32 bits, and for the 11 bits of a digit. */
constexpr int BINS = 2048;
constexpr int DIGIT_BITS = 11;

__device__ inline unsigned binOf(unsigned weight) {
  const unsigned extra = max(31 - __clz(weight | 1), 6) - 6;
  return extra * 64 + (weight >> extra);
}

/* Bits of a bin's weights that it does not tell. */
__device__ inline unsigned freeBitsOf(unsigned bin) { return max(bin / 64, 1u) - 1; }

/* The least weight of a bin. */
__device__ inline unsigned leastOf(unsigned bin) {
  const unsigned extra = freeBitsOf(bin);
  return (bin - extra * 64) << extra;
}

}  // namespace ds
