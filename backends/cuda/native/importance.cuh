/* What a token is worth to a query head, by the integer rule of core/importance.ts. */
#pragma once

#include <cmath>

#include "importance_table.cuh"

namespace ds {

/* M, and s - 8 at exponent 0. */
struct ImportanceScale {
  unsigned multiplier;
  int shift;
};

/* M = round(log2(e)/√d · 2^s) with the s that makes it 14 bits. */
inline ImportanceScale importanceScale(int headDim) {
  const double perUnit = 1.4426950408889634 / std::sqrt(static_cast<double>(headDim));
  double scale = 1 << 13;
  int bits = 13;
  for (; std::floor(perUnit * scale + 0.5) < 1 << 13; bits++) scale *= 2;
  for (; std::floor(perUnit * scale + 0.5) >= 1 << 14; bits--) scale /= 2;
  return {static_cast<unsigned>(std::floor(perUnit * scale + 0.5)), bits - 8};
}

/* A query head of a set. */
struct Head {
  int largest;
  /* y = z·multiplier >> shift, 0 ≤ shift < 32. */
  unsigned multiplier;
  int shift;
  /* μ = 2^-e/√d */
  float perScore;
};

__device__ inline Head headOf(int largest, int exponent, ImportanceScale scale, float perUnit) {
  const int shift = scale.shift + exponent;
  /* Further left than by 0 changes nothing: all but z = 0 is too far below the largest already. */
  return {largest, shift < 32 ? scale.multiplier : 0, shift < 32 ? max(shift, 0) : 0, ldexpf(perUnit, -exponent)};
}

/* Of a token with this score, in units of 2^-24; `table` is IMPORTANCE_TABLE, wherever it is fast to read. */
__device__ inline unsigned importance(const Head &head, int score, const unsigned *table) {
  const uint64_t product = static_cast<uint64_t>(static_cast<unsigned>(head.largest - score)) * head.multiplier;
  const unsigned low = static_cast<unsigned>(product), high = static_cast<unsigned>(product >> 32);
  const unsigned y = high >> head.shift != 0 ? 0xffffffffu : __funnelshift_r(low, high, head.shift);
  return y < 25 * 256 ? table[y & 255] >> (y >> 8) : 0;
}

}  // namespace ds
