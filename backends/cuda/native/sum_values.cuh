#pragma once

#include "device.cuh"

namespace ds {

/* Tokens per entry of value sums. */
constexpr int SUM_TOKENS = 64;

/* As many values of a row as one load takes. */
template <class T, int COUNT>
struct alignas(sizeof(T) * COUNT) Pack {
  T values[COUNT];
};

/*
 * Entries [first, end) of value sums f32 [entries, d] of one slot and head, from the one before and its kv [S, 2, d]: within an
 * entry eight sums of eight, always in this order, so that how a text is cut into steps moves no bit. `room` has
 * max(blockDim·COUNT, d) floats; d is a multiple of COUNT.
 */
template <class T, int COUNT>
__device__ inline void sumValues(float *sums, const T *kv, int d, int first, int end, float *room) {
  const int packs = d / COUNT, together = max(static_cast<int>(blockDim.x) / packs, 1);
  for (; first < end; first += together) {
    const int count = min(together, end - first);
    for (int i = threadIdx.x; i < count * packs; i += blockDim.x) {
      const int c = i % packs * COUNT;
      const T *values = kv + (int64_t{first - 1 + i / packs} * SUM_TOKENS * 2 + 1) * d + c;
      float total[COUNT] = {};
      for (int n = 0; n < SUM_TOKENS; n += 8) {
        Pack<T, COUNT> read[8];
#pragma unroll
        for (int j = 0; j < 8; j++) read[j] = *reinterpret_cast<const Pack<T, COUNT> *>(values + int64_t{n + j} * 2 * d);
#pragma unroll
        for (int k = 0; k < COUNT; k++) {
          const auto of = [&](int j) { return toFloat(read[j].values[k]); };
          total[k] += ((of(0) + of(1)) + (of(2) + of(3))) + ((of(4) + of(5)) + (of(6) + of(7)));
        }
      }
#pragma unroll
      for (int k = 0; k < COUNT; k++) room[i * COUNT + k] = total[k];
    }
    __syncthreads();
    for (int c = threadIdx.x; c < d; c += blockDim.x) {
      float total = sums[int64_t{first - 1} * d + c];
      for (int i = 0; i < count; i++) {
        total += room[i * d + c];
        sums[int64_t{first + i} * d + c] = total;
      }
    }
    __syncthreads();
  }
}

}  // namespace ds
