#pragma once

#include "device.cuh"

namespace ds {

__device__ inline float powerOfTwo(int exponent) { return __uint_as_float(static_cast<unsigned>(exponent + 127) << 23); }

/* ⌊log2 x⌋ of a positive finite x. */
__device__ inline int floorLog2(float x) {
  const unsigned bits = __float_as_uint(x);
  return bits >> 23 > 0 ? static_cast<int>(bits >> 23) - 127 : 31 - __clz(bits) - 149;
}

/*
 * The int8 query of one head (core/importance.ts), by one warp: w f32 [C] of the room, then codes[part · stride], four to a word in
 * the order in which scoreLabels meets the label's: the nibbles of a wide word at bits 0 and 4 of its bytes, then the codes of a
 * narrow word at bits 0, 2, 4 and 6. Returns e to all lanes.
 */
__device__ inline int quantiseQuery(const float *query, const int *channels, const float *step, int wide, int narrow, float *w,
                                    int *codes, int stride) {
  const int lane = threadIdx.x % WARP, C = wide + narrow;
  float largest = 0;
  for (int c = lane; c < C; c += WARP) {
    w[c] = __fmul_rn(query[channels[c]], step[c]);
    largest = fmaxf(largest, fabsf(w[c]));
  }
  largest = warpMax(largest);
  __syncwarp();
  const bool isFinite = largest > 0 && largest < INFINITY;
  const int exponent = isFinite ? 6 - floorLog2(largest) : 0;
  /* In two steps, as 2^e may be more than a float holds; what falls below the least of them is far below 1/2 in the end. */
  const float first = powerOfTwo(exponent / 2), second = powerOfTwo(exponent - exponent / 2);
  for (int word = lane; word < C / 4; word += WARP) {
    const bool isWide = word < wide / 4;
    const int other = word - wide / 4;
    const int base = isWide ? word / 2 * 8 + word % 2 : wide + other / 4 * 16 + other % 4;
    unsigned packed = 0;
    for (int i = 0; i < 4; i++) {
      const float value = rintf(__fmul_rn(__fmul_rn(w[base + i * (isWide ? 2 : 4)], first), second));
      /* NaN has no code. */
      const int code = value == value ? static_cast<int>(fminf(fmaxf(value, -127.f), 127.f)) : 0;
      packed |= (static_cast<unsigned>(code) & 255) << (8 * i);
    }
    codes[word * stride] = isFinite ? static_cast<int>(packed) : 0;
  }
  return exponent;
}

}  // namespace ds
