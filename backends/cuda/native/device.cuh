/* What all kernels share: the device's own words, half precision, small helpers. */
#pragma once

#ifdef DS_HOST
#include "host/cuda.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif

#include <cstdint>

namespace ds {

constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;

/* Memory shared by a block whose size is given with the launch, aligned to 16 bytes. */
#ifdef DS_HOST
__device__ inline unsigned char *dynamicShared() { return ::host::self->block->shared; }
#else
__device__ inline unsigned char *dynamicShared() {
  extern __shared__ __align__(16) unsigned char memory[];
  return memory;
}
#endif

/* f16 as it lies in memory. */
#ifdef DS_HOST
using Half = _Float16;
__device__ inline float toFloat(Half value) { return static_cast<float>(value); }
__device__ inline Half toHalf(float value) { return static_cast<Half>(value); }
#else
using Half = __half;
__device__ inline float toFloat(Half value) { return __half2float(value); }
__device__ inline Half toHalf(float value) { return __float2half_rn(value); }
#endif

/* bf16 as it lies in memory: the upper half of an f32. */
struct Brain {
  uint16_t bits;
};
__device__ inline float toFloat(Brain value) { return __uint_as_float(static_cast<unsigned>(value.bits) << 16); }
__device__ inline float toFloat(float value) { return value; }
/* To the nearest, halves to even; NaN stays NaN. */
__device__ inline Brain toBrain(float value) {
  const unsigned bits = __float_as_uint(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

/* A float in another type: Float<Half>::from(x). */
template <class T>
struct Float;
template <>
struct Float<float> {
  __device__ static float from(float value) { return value; }
};
template <>
struct Float<Half> {
  __device__ static Half from(float value) { return toHalf(value); }
};
template <>
struct Float<Brain> {
  __device__ static Brain from(float value) { return toBrain(value); }
};

/* What a row of a step is, as ds_begin_step was told: x token, y slot, z position, w home. */
using Row = int4;

__device__ inline float warpSum(float value) {
  for (int lanes = WARP / 2; lanes > 0; lanes /= 2) value += __shfl_xor_sync(ALL_LANES, value, lanes);
  return value;
}

__device__ inline float warpMax(float value) {
  for (int lanes = WARP / 2; lanes > 0; lanes /= 2) value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, lanes));
  return value;
}

/*
 * The sum of a block's values, for all its threads, by way of `room` of a float per warp; the order is fixed. Needs a barrier before
 * `room` is used again.
 */
__device__ inline float blockSum(float value, float *room) {
  value = warpSum(value);
  if (threadIdx.x % WARP == 0) room[threadIdx.x / WARP] = value;
  __syncthreads();
  float sum = 0;
  for (unsigned warp = 0; warp < blockDim.x / WARP; warp++) sum += room[warp];
  return sum;
}

template <class T>
__host__ __device__ constexpr T divideUp(T a, T b) {
  return (a + b - 1) / b;
}

}  // namespace ds
