/*
 * Attention of rows of any kind over a cache of halves, by tensor cores. Every warp goes through tiles of its own, 16 tokens each,
 * copied to a ring of its own: no two warps wait for each other before the end.
 *
 * Queries and weights enter the products as sums of halves (terms.cuh). A product has 16 rows: the first term of 8 heads, then the
 * second; what a third term leaves free sums the values for the tail. So a lane, r = lane / 4 and p = 2·(lane % 4), has head r,
 * tokens p, p + 1, p + 8, p + 9 of a tile, and channels 8·j + p and the next.
 */
#pragma once

#include "async_copy.cuh"
#include "rows_queries.cuh"
#include "rows_scores.cuh"
#include "rows_sums.cuh"

namespace ds {

namespace rows {

/* Leaves the parts of a share that has tokens. */
template <class T, int D, bool IS_SELECTED>
__device__ inline void attendShare(const Attention &a, const Seat &seat, const Tokens &tokens, unsigned char *shared) {
  constexpr int STAGES = Ring<T, D>::STAGES;
  const KvRows<T> kvRows = kvRowsOf<T>(a, seat);
  const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  unsigned char *ring = shared + warp * Ring<T, D>::BYTES;
  const bool hasTail = IS_SELECTED && a.tailMass != nullptr;

  /* Of this warp; a lane has the token at its own place in the tile, so that there are two of each. */
  const auto startOf = [&](int tile) { return tokens.begin + (tile * WARPS + warp) * TILE_TOKENS; };
  const int tiles = divideUp(max(tokens.end - startOf(0), 0), WARPS * TILE_TOKENS);
  const auto load = [&](int tile) { return tokens.tokenOf<IS_SELECTED>(min(startOf(tile) + lane % TILE_TOKENS, tokens.end - 1)); };

  /* Of the rest only V is read. */
  constexpr int CHUNKS = KvTile<D>::CHUNKS;
  const int column = lane % (D / 8) * 8;
  const bool isValue = lane % CHUNKS >= D / 8;
  const int copiedEnd = column >= a.d ? 0 : isValue ? tokens.end : tokens.selectedEnd;
  const int64_t fromBytes = (isValue ? a.d + column : column) * sizeof(T);
  const int toBytes = KvTile<D>::placeOf(lane / CHUNKS, lane % CHUNKS);
  const auto copy = [&](int tile, int token) {
    const int start = startOf(tile);
    const auto row = reinterpret_cast<long long>(kvRows.at(tokens.placeOf(start + lane % TILE_TOKENS, token), a.d));
    unsigned char *to = ring + tile % STAGES * KvTile<D>::BYTES;
#pragma unroll
    for (int first = 0; first < TILE_TOKENS; first += WARP / CHUNKS) {
      const long long from = __shfl_sync(ALL_LANES, row, first + lane / CHUNKS) + fromBytes;
      const bool isThere = start + first + lane / CHUNKS < copiedEnd;
      copyAsync(to + first * KvTile<D>::TOKEN_BYTES + (toBytes ^ first % 8 * 16), reinterpret_cast<const void *>(from), isThere);
    }
  };

  /* Tokens of the tiles under way, the current one first, then that of the tile to copy next. */
  int held[STAGES + 1];
#pragma unroll
  for (int tile = 0; tile < STAGES; tile++) held[tile] = load(tile);
#pragma unroll
  for (int tile = 0; tile < STAGES - 1; tile++) {
    if (tile < tiles) copy(tile, held[tile]);
    commitCopies();
  }
  Queries<T, D> queries;
  /* The first warp's last stage is still free. */
  loadQueries(queries, a, seat, shared + (STAGES - 1) * KvTile<D>::BYTES);
  const KvTile<D> fragments;
  FreeScores free{};
  TileScores scored{}, scoredNext{};
  if (hasTail) {
    free = freeScoresOf(a, seat);
    loadScores(scored, free, tokens, startOf(0), held[0]);
  }
  Sums<D> sums;

  for (int tile = 0; tile < tiles; tile++) {
    held[STAGES] = load(tile + STAGES);
    if (tile + STAGES - 1 < tiles) copy(tile + STAGES - 1, held[STAGES - 1]);
    commitCopies();
    if (hasTail) loadScores(scoredNext, free, tokens, startOf(tile + 1), held[1]);
    awaitCopies<STAGES - 1>();
    __syncwarp();

    const unsigned char *own = ring + tile % STAGES * KvTile<D>::BYTES;
    const int start = startOf(tile) + lane % 4 * 2;
    float logits[4];
    makeLogits<T, D>(logits, queries, fragments, own);
    float largest = LOWEST;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (start + i / 2 * 8 + i % 2 >= tokens.selectedEnd) logits[i] = LOWEST;
      largest = fmaxf(largest, logits[i]);
    }
    if (__any_sync(ALL_LANES, largest > sums.base + HEADROOM)) {
      /* Whole, so that it costs no bits. */
      const float base = fmaxf(sums.base, ceilf(quadMax(largest)) - HEADROOM);
      const float factor = exp2f(sums.base - base);
      sums.base = base;
      sums.weights *= factor;
#pragma unroll
      for (int j = 0; j < D / 8; j++) sums.values[j][0] *= factor, sums.values[j][1] *= factor;
    }
    float weights[4], signs[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int at = start + i / 2 * 8 + i % 2;
      const bool isSelected = at < tokens.selectedEnd;
      weights[i] = isSelected ? exp2f(logits[i] - sums.base) : 0;
      signs[i] = isSelected ? -1 : at < tokens.end ? 1 : 0;
      sums.weights += weights[i];
      if (hasTail && (scored.areFree >> i & 1)) {
        sums.differences += logits[i] - free.perScore * static_cast<float>(scored.scores[i]);
        sums.freeTokens += 1;
      }
    }
    addValues<T, D, IS_SELECTED>(sums, weights, signs, fragments, own);

    __syncwarp();
#pragma unroll
    for (int i = 0; i < STAGES; i++) held[i] = held[i + 1];
    scored = scoredNext;
  }
  awaitCopies<0>();
  __syncwarp();
  leaveParts<T>(a, seat, sums, shared);
}

/* d is at most D and a multiple of 8. */
template <class T, int D, bool IS_SELECTED>
static __global__ void __launch_bounds__(THREADS, Ring<T, D>::BLOCKS) attendRows(const Attention a) {
  unsigned char *shared = dynamicShared();
  const Seat seat = seatOf(a);
  const Tokens tokens = tokensOf(a, seat);
  if (tokens.begin < tokens.end) attendShare<T, D, IS_SELECTED>(a, seat, tokens, shared);
  else leaveNoParts(a, seat);
  finishParts(a, seat, tokens.count, shared);
}

}  // namespace rows

}  // namespace ds
