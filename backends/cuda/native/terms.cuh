/* An f32 as a sum of halves, so that tensor cores multiply it all but exactly. */
#pragma once

#include "device.cuh"
#include "mma.cuh"

namespace ds {

template <class T>
struct Terms;

/* 11 bits each: 22 of 24, and none below 2^-24. */
template <>
struct Terms<Half> {
  static constexpr int COUNT = 2;
  __device__ static void split(float low, float high, unsigned (&terms)[COUNT]) {
    const Half a = toHalf(low), b = toHalf(high);
    terms[0] = packed(a, b);
    terms[1] = packed(toHalf(low - toFloat(a)), toHalf(high - toFloat(b)));
  }
};

/* 8 bits each, cut off and not rounded, so that what is left is exact: all 24. */
template <>
struct Terms<Brain> {
  static constexpr int COUNT = 3;
  __device__ static void split(float low, float high, unsigned (&terms)[COUNT]) {
    for (int i = 0; i < COUNT; i++) {
      const unsigned a = __float_as_uint(low), b = __float_as_uint(high) & 0xffff0000u;
      terms[i] = b | a >> 16;
      low -= __uint_as_float(a & 0xffff0000u);
      high -= __uint_as_float(b);
    }
  }
};

}  // namespace ds
