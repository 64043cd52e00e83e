/*
 * K and V of tokens in shared memory, as tensor cores want them: heads of up to D channels, 0 beyond, a token's K before its V, in
 * chunks of 16 bytes. Chunks of different tokens at one place would all be in the same banks, so they change places by token.
 */
#pragma once

#include "async_copy.cuh"
#include "load_tiles.cuh"

namespace ds {

/* Tokens that a warp goes through together. */
constexpr int TILE_TOKENS = 16;

template <int D>
struct KvTile {
  static constexpr int CHUNKS = 2 * D / 8;
  static constexpr int TOKEN_BYTES = CHUNKS * 16;
  static constexpr int BYTES = TILE_TOKENS * TOKEN_BYTES;

  /* In bytes. */
  __device__ static int placeOf(int token, int chunk) { return token * TOKEN_BYTES + (chunk ^ token % 8) * 16; }

  /* What loadKeys and loadValues read from in this lane. */
  int keys, values;
  __device__ KvTile() {
    const int lane = threadIdx.x % WARP;
    keys = placeOf(lane / 16 * 8 + lane % 8, lane / 8 % 2);
    values = placeOf(lane / 8 % 2 * 8 + lane % 8, D / 8 + lane / 16);
  }
  /* Right operands of channels 16·k on: of tokens 0 to 7 in [0, 1], of tokens 8 to 15 in [2, 3]. */
  __device__ void loadKeys(unsigned (&four)[4], const unsigned char *tile, int k) const {
    loadTiles<false>(four, tile + (keys ^ k * 32));
  }
  /* Right operands of the 16 tokens: of channels 16·k to 16·k + 7 in [0, 1], of the next 8 in [2, 3]. */
  __device__ void loadValues(unsigned (&four)[4], const unsigned char *tile, int k) const {
    loadTiles<true>(four, tile + (values ^ k * 32));
  }
};

/*
 * Queries and weights are summed up from terms; a weight goes up to 2^HEADROOM, as halves of less than 2^-24 would be lost.
 */
constexpr float HEADROOM = 14;

/* Powers of two: a query's whose largest channel is `largest` times `factor` is below 2^14, far from the smallest halves. */
struct QueryScale {
  float factor, inverse;
};

__device__ inline QueryScale queryScaleOf(float largest) {
  const int exponent = 13 - max(static_cast<int>(__float_as_uint(largest) >> 23) - 127, -100);
  return {__uint_as_float(static_cast<unsigned>(127 + exponent) << 23), __uint_as_float(static_cast<unsigned>(127 - exponent) << 23)};
}

/* Over the four lanes that share a head's row of a product. */
__device__ inline float quadMax(float value) {
  value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, 1));
  return fmaxf(value, __shfl_xor_sync(ALL_LANES, value, 2));
}
__device__ inline float quadSum(float value) {
  value += __shfl_xor_sync(ALL_LANES, value, 1);
  return value + __shfl_xor_sync(ALL_LANES, value, 2);
}

}  // namespace ds
