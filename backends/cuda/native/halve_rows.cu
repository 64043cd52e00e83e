#include "halve_rows.cuh"

#include <type_traits>

#include "weights.cuh"

namespace ds {

constexpr int THREADS = 256;
/* Rows whose largest value lies from 2^LEAST to below 2^MOST stay as they are; others are brought to 2^MIDDLE. */
constexpr int LEAST = -8, MOST = 14, MIDDLE = 4;

/* The exponent of the power of two that a row is to be multiplied by. */
__device__ static int shiftFor(float largest) {
  const int exponent = static_cast<int>(__float_as_uint(largest) >> 23) - 127;
  const bool isFine = largest == 0 || exponent == 128 || (exponent >= LEAST && exponent < MOST);
  return isFine ? 0 : min(MIDDLE - exponent, 126);
}
__device__ static float powerOfTwo(int exponent) { return __uint_as_float(static_cast<unsigned>(exponent + 127) << 23); }

/* One block per row; `scales` is null where T has f32's range. */
template <class W, class T>
static __global__ void __launch_bounds__(THREADS) halve(T *values, float *scales, const float *x, int I, int width) {
  using Type = Weights<W>;
  __shared__ float room[THREADS / WARP];
  const int64_t r = blockIdx.x;
  const auto *row = reinterpret_cast<const float4 *>(x + r * I);
  float factor = 1;
  if (scales != nullptr) {
    float largest = 0;
    for (int i = threadIdx.x; i < I / 4; i += THREADS) {
      const float4 quad = __ldg(row + i);
      largest = fmaxf(fmaxf(largest, fmaxf(fabsf(quad.x), fabsf(quad.y))), fmaxf(fabsf(quad.z), fabsf(quad.w)));
    }
    largest = warpMax(largest);
    if (threadIdx.x % WARP == 0) room[threadIdx.x / WARP] = largest;
    __syncthreads();
    for (int warp = 0; warp < THREADS / WARP; warp++) largest = fmaxf(largest, room[warp]);
    const int shift = shiftFor(largest);
    factor = powerOfTwo(shift);
    if (threadIdx.x == 0) scales[r] = powerOfTwo(-shift);
  }
  for (int u = threadIdx.x; u < width / Type::UNIT; u += THREADS) {
    T halves[Type::UNIT];
#pragma unroll
    for (int q = 0; q < Type::QUADS; q++) {
      float4 quad = make_float4(0, 0, 0, 0);
      if (u < I / Type::UNIT) quad = __ldg(row + Type::column(u, q) / 4);
      halves[4 * q] = Float<T>::from(quad.x * factor);
      halves[4 * q + 1] = Float<T>::from(quad.y * factor);
      halves[4 * q + 2] = Float<T>::from(quad.z * factor);
      halves[4 * q + 3] = Float<T>::from(quad.w * factor);
    }
    auto *to = reinterpret_cast<uint4 *>(values + r * width) + u * (Type::UNIT / 8);
#pragma unroll
    for (int i = 0; i < Type::UNIT / 8; i++) memcpy(to + i, halves + 8 * i, sizeof *to);
  }
}

HalfRows halveRows(ds_stream *stream, int32_t dtype, const float *x, int64_t R, int64_t I) {
  const int64_t width = divideUp<int64_t>(I, HALF_COLUMNS) * HALF_COLUMNS;
  auto *values = stream->scratchOf<uint16_t>("rows of halves", R * width);
  float *scales = dtype == DS_BF16 ? nullptr : stream->scratchOf<float>("scales of rows of halves", R);
  withWeightType(dtype, "weights", [&](auto type) {
    using W = decltype(type);
    using T = std::conditional_t<std::is_same_v<W, Brain>, Brain, Half>;
    launch(stream, {dim3(R), THREADS}, halve<W, T>, reinterpret_cast<T *>(values), scales, x, I, width);
  });
  return {values, scales, width};
}

}  // namespace ds
