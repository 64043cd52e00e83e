/* What a warp sums up over its tiles, as attend_rows.cuh lays it out, and how a block's warps leave it as parts. */
#pragma once

#include "attend_parts.cuh"
#include "rows_queries.cuh"

namespace ds {

namespace rows {

/* A warp's tiles under way, for heads of up to D channels. */
template <class T, int D>
struct Ring {
  /* Blocks that a multiprocessor has room for: wide heads take registers, of three terms more. */
  static constexpr int BLOCKS = (D > 64 ? 3 : 4) - (Terms<T>::COUNT > 2);
  static constexpr int STAGES = D > 64 && BLOCKS > 2 ? 2 : 3;
  static constexpr int BYTES = STAGES * KvTile<D>::BYTES;
  /* What a warp leaves in its ring at the end: Σ weight·V of every head, the values for the tail, a header of every head. */
  static constexpr int PITCH = D + 8;
  static constexpr int HEADERS = (HEADS + 1) * PITCH;
  static_assert((HEADERS + 4 * HEADS) * sizeof(float) <= BYTES);
};

/* What a lane has of its warp's attention. */
template <int D>
struct Sums {
  float base = LOWEST, weights = 0;
  float values[D / 8][2] = {};
  /* For the tail: ΣV of channels 8·j + p with j % 8 = r, and see attend_parts.cuh. */
  float others[D / 64][2] = {};
  float differences = 0, freeTokens = 0;
};

/* Adds weights·V; and signs·V to the values for the tail. */
template <class T, int D, bool IS_SELECTED>
__device__ inline void addValues(Sums<D> &sums, const float (&weights)[4], const float (&signs)[4], const KvTile<D> &fragments,
                                 const unsigned char *tile) {
  constexpr bool HAS_THIRD = Terms<T>::COUNT > 2;
  const int r = threadIdx.x % WARP / 4;
  unsigned first[Terms<T>::COUNT], second[Terms<T>::COUNT];
  Terms<T>::split(weights[0], weights[1], first);
  Terms<T>::split(weights[2], weights[3], second);
  const unsigned left[4] = {first[0], first[1], second[0], second[1]};
  const unsigned low = packed(Float<T>::from(signs[0]), Float<T>::from(signs[1]));
  const unsigned high = packed(Float<T>::from(signs[2]), Float<T>::from(signs[3]));
  float others[D / 64][4] = {};
#pragma unroll
  for (int pair = 0; pair < D / 16; pair++) {
    unsigned values[4];
    fragments.loadValues(values, tile, pair);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int j = pair * 2 + half;
      const unsigned right[2] = {values[half * 2], values[half * 2 + 1]};
      /* Fresh ones, as tensor cores cut sums off where they should round. */
      float products[4] = {};
      multiplyTiles<T>(products, left, right);
      /* Row 8 + r of these: only where it is the lane's to have. */
      const bool isOwn = IS_SELECTED && j % 8 == r;
      const unsigned rest[4] = {HAS_THIRD ? first[Terms<T>::COUNT - 1] : 0, isOwn ? low : 0,
                                HAS_THIRD ? second[Terms<T>::COUNT - 1] : 0, isOwn ? high : 0};
      if (HAS_THIRD) {
        float rests[4] = {};
        multiplyTiles<T>(rests, rest, right);
#pragma unroll
        for (int i = 0; i < 2; i++) {
          products[i + 2] += rests[i];
          others[j / 8][i + 2] += rests[i + 2];
        }
      } else if (IS_SELECTED) {
        multiplyTiles<T>(others[j / 8], rest, right);
      }
#pragma unroll
      for (int i = 0; i < 2; i++) sums.values[j][i] += products[i] + products[i + 2];
    }
  }
#pragma unroll
  for (int j = 0; j < D / 64; j++) {
#pragma unroll
    for (int i = 0; i < 2; i++) sums.others[j][i] += others[j][i + 2];
  }
}

/* Puts the warps' sums together as the parts of this block. */
template <class T, int D>
__device__ inline void leaveParts(const Attention &a, const Seat &seat, Sums<D> &sums, unsigned char *shared) {
  const int lane = threadIdx.x % WARP, r = lane / 4, p = lane % 4 * 2;
  constexpr int PITCH = Ring<T, D>::PITCH;
  float *own = reinterpret_cast<float *>(shared + threadIdx.x / WARP * Ring<T, D>::BYTES);
#pragma unroll
  for (int j = 0; j < D / 8; j++) {
    *reinterpret_cast<float2 *>(own + r * PITCH + j * 8 + p) = make_float2(sums.values[j][0], sums.values[j][1]);
  }
#pragma unroll
  for (int j = 0; j < D / 64; j++) {
    *reinterpret_cast<float2 *>(own + HEADS * PITCH + (j * 8 + r) * 8 + p) = make_float2(sums.others[j][0], sums.others[j][1]);
  }
  const float4 header = make_float4(sums.base, quadSum(sums.weights), quadSum(sums.differences), quadSum(sums.freeTokens));
  constexpr int HEADERS = Ring<T, D>::HEADERS;
  if (p == 0) *reinterpret_cast<float4 *>(own + HEADERS + r * 4) = header;
  __syncthreads();

  const auto ofWarp = [&](int warp, int at) {
    return *reinterpret_cast<const float4 *>(shared + warp * Ring<T, D>::BYTES + at * sizeof(float));
  };
  const int rowsLeft = seat.heads + (a.tailMass != nullptr);
  for (int i = threadIdx.x; i < rowsLeft * a.width; i += THREADS) {
    const int h = i / a.width, at = i % a.width;
    const bool isHead = h < seat.heads;
    float4 *part = partOf(a, seat.share, isHead ? h : a.headsPerBlock);
    float4 header = make_float4(LOWEST, 0, 0, 0), total = make_float4(0, 0, 0, 0);
    if (isHead) {
      for (int warp = 0; warp < WARPS; warp++) header.x = fmaxf(header.x, ofWarp(warp, HEADERS + h * 4).x);
    }
    for (int warp = 0; warp < WARPS; warp++) {
      float factor = 1;
      if (isHead) {
        const float4 its = ofWarp(warp, HEADERS + h * 4);
        factor = exp2f(its.x - header.x);
        header.y += factor * its.y;
        header.z += its.z;
        header.w += its.w;
      }
      addTimes(total, factor, ofWarp(warp, (isHead ? h : HEADS) * PITCH + at * 4));
    }
    part[1 + at] = total;
    if (at == 0) *part = header;
  }
}

}  // namespace rows

}  // namespace ds
