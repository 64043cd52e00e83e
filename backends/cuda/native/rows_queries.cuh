/* Queries of rows, and their logits over a tile of tokens, as attend_rows.cuh lays them out. */
#pragma once

#include "attention.cuh"
#include "kv_tile.cuh"
#include "mma.cuh"
#include "terms.cuh"

namespace ds {

namespace rows {

constexpr int WARPS = 4;
constexpr int THREADS = WARPS * WARP;

/* Queries of a block's heads as left operands, the first two terms and the third, and what makes logits of the products. */
template <class T, int D>
struct Queries {
  static constexpr bool HAS_THIRD = Terms<T>::COUNT > 2;
  unsigned both[D / 16][4], third[HAS_THIRD ? D / 16 : 1][2];
  float perProduct;
};

/* By way of `room`, which the block has to itself meanwhile: a row per term and head, and what makes logits of the heads' products. */
template <class T, int D>
__device__ inline void loadQueries(Queries<T, D> &queries, const Attention &a, const Seat &seat, unsigned char *room) {
  constexpr int PER_LANE = D / WARP, ROW_BYTES = 2 * D;
  static_assert((Terms<T>::COUNT * ROW_BYTES + sizeof(float)) * HEADS <= KvTile<D>::BYTES);
  const int lane = threadIdx.x % WARP;
  const auto placeOf = [](int row, int chunk) { return row * ROW_BYTES + (chunk ^ row % 8) * 16; };
  float *perProduct = reinterpret_cast<float *>(room + Terms<T>::COUNT * HEADS * ROW_BYTES);
  const float *query = a.qkv + (int64_t{seat.t} * (a.Hq + 2 * a.Hk) + seat.firstHead) * a.d;
#pragma unroll 2
  for (int h = threadIdx.x / WARP; h < HEADS; h += WARPS) {
    float values[PER_LANE], largest = 0;
#pragma unroll
    for (int i = 0; i < PER_LANE; i++) {
      const int c = lane * PER_LANE + i;
      values[i] = h < seat.heads && c < a.d ? query[h * a.d + c] : 0;
      largest = fmaxf(largest, fabsf(values[i]));
    }
    const QueryScale scale = queryScaleOf(warpMax(largest));
    if (lane == 0) perProduct[h] = a.scale * scale.inverse;
#pragma unroll
    for (int i = 0; i < PER_LANE; i += 2) {
      unsigned terms[Terms<T>::COUNT];
      Terms<T>::split(values[i] * scale.factor, values[i + 1] * scale.factor, terms);
      const int c = lane * PER_LANE + i;
#pragma unroll
      for (int term = 0; term < Terms<T>::COUNT; term++) {
        *reinterpret_cast<unsigned *>(room + placeOf(term * HEADS + h, c / 8) + c % 8 * 2) = terms[term];
      }
    }
  }
  __syncthreads();
  queries.perProduct = perProduct[lane / 4];
#pragma unroll
  for (int k = 0; k < D / 16; k++) loadTiles<false>(queries.both[k], room + placeOf(lane % 16, 2 * k + lane / 16));
#pragma unroll
  for (int k = 0; Queries<T, D>::HAS_THIRD && k < D / 16; k += 2) {
    unsigned two[4];
    loadTiles<false>(two, room + placeOf(2 * HEADS + lane % 8, 2 * k + lane / 8));
#pragma unroll
    for (int i = 0; i < 4; i++) queries.third[k + i / 2][i % 2] = two[i];
  }
  __syncthreads();
}

/* Logits to the base 2 of the lane's four tokens of a tile. */
template <class T, int D>
__device__ inline void makeLogits(float (&logits)[4], const Queries<T, D> &queries, const KvTile<D> &fragments,
                                  const unsigned char *tile) {
  float sums[2][4] = {}, rests[2][4] = {};
#pragma unroll
  for (int k = 0; k < D / 16; k++) {
    unsigned keys[4];
    fragments.loadKeys(keys, tile, k);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const unsigned right[2] = {keys[half * 2], keys[half * 2 + 1]};
      multiplyTiles<T>(sums[half], queries.both[k], right);
      if (Queries<T, D>::HAS_THIRD) {
        const unsigned left[4] = {queries.third[k][0], 0, queries.third[k][1], 0};
        multiplyTiles<T>(rests[half], left, right);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    logits[i] = (sums[i / 2][i % 2] + (sums[i / 2][i % 2 + 2] + rests[i / 2][i % 2])) * queries.perProduct;
  }
}

}  // namespace rows

}  // namespace ds
