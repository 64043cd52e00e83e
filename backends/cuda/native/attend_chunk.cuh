/*
 * Attention of a prefill chunk over a cache of halves, by tensor cores: rows at consecutive positions of one slot.
 *
 * A line is a row and one query head of the KV head's, the heads of a row next to each other. A block per [share of the tokens, 16
 * lines for each of its warps, KV head]; its warps go through the tokens together. Of a warp's lines, r = lane / 4, a lane has r and
 * r + 8; the rest is as in attend_rows.cuh.
 */
#pragma once

#include "chunk_lines.cuh"
#include "kv_tile.cuh"
#include "mma.cuh"
#include "terms.cuh"

namespace ds {

namespace chunk {

constexpr int MOST_WARPS = 8;
/* Tokens copied together. */
constexpr int STEP_TOKENS = 2 * TILE_TOKENS;
constexpr int STAGES = 3;

template <int D>
constexpr int STEP_BYTES = STEP_TOKENS * KvTile<D>::TOKEN_BYTES;

/* Left operands: terms of the queries of both lines. */
template <class T, int D>
__device__ inline void loadQueries(unsigned (&queries)[D / 16][Terms<T>::COUNT][4], const Attention &a, Line (&lines)[2]) {
  const int p = threadIdx.x % 4 * 2;
#pragma unroll
  for (int l = 0; l < 2; l++) {
    const int64_t t = lines[l].head / a.Hq;
    const float *query = a.qkv + (lines[l].head + t * 2 * a.Hk) * a.d;
    float values[D / 16][4], largest = 0;
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int c = k * 16 + i / 2 * 8 + p + i % 2;
        values[k][i] = lines[l].head >= 0 && c < a.d ? query[c] : 0;
        largest = fmaxf(largest, fabsf(values[k][i]));
      }
    }
    const QueryScale scale = queryScaleOf(quadMax(largest));
    lines[l].perProduct = a.scale * scale.inverse;
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        unsigned terms[Terms<T>::COUNT];
        Terms<T>::split(values[k][half * 2] * scale.factor, values[k][half * 2 + 1] * scale.factor, terms);
#pragma unroll
        for (int term = 0; term < Terms<T>::COUNT; term++) queries[k][term][half * 2 + l] = terms[term];
      }
    }
  }
}

/* One warp over one tile of tokens, the first of them `start`. */
template <class T, int D>
__device__ inline void attendTile(float (&values)[D / 8][4], Line (&lines)[2], const unsigned (&queries)[D / 16][Terms<T>::COUNT][4],
                                  const KvTile<D> &fragments, const unsigned char *tile, int start) {
  constexpr int COUNT = Terms<T>::COUNT;
  float sums[COUNT][2][4] = {};
#pragma unroll
  for (int k = 0; k < D / 16; k++) {
    unsigned keys[4];
    fragments.loadKeys(keys, tile, k);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const unsigned right[2] = {keys[half * 2], keys[half * 2 + 1]};
#pragma unroll
      for (int term = 0; term < COUNT; term++) multiplyTiles<T>(sums[term][half], queries[k][term], right);
    }
  }
  /* Of both lines: tokens p, p + 1, p + 8, p + 9. */
  float weights[2][4];
  bool isHigher = false;
#pragma unroll
  for (int l = 0; l < 2; l++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int at = l * 2 + i % 2;
      float sum = sums[COUNT - 1][i / 2][at];
#pragma unroll
      for (int term = COUNT - 2; term >= 0; term--) sum += sums[term][i / 2][at];
      const int token = start + i / 2 * 8 + threadIdx.x % 4 * 2 + i % 2;
      const bool isSeen = token >= lines[l].first && token <= lines[l].position;
      weights[l][i] = isSeen ? sum * lines[l].perProduct : LOWEST;
      isHigher = isHigher || weights[l][i] > lines[l].base + HEADROOM;
    }
  }
  if (__any_sync(ALL_LANES, isHigher)) {
#pragma unroll
    for (int l = 0; l < 2; l++) {
      const float largest = quadMax(fmaxf(fmaxf(weights[l][0], weights[l][1]), fmaxf(weights[l][2], weights[l][3])));
      const float base = fmaxf(lines[l].base, ceilf(largest) - HEADROOM);
      const float factor = exp2f(lines[l].base - base);
      lines[l].base = base;
      lines[l].weights *= factor;
#pragma unroll
      for (int j = 0; j < D / 8; j++) values[j][l * 2] *= factor, values[j][l * 2 + 1] *= factor;
    }
  }
  unsigned left[COUNT][4];
#pragma unroll
  for (int l = 0; l < 2; l++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      weights[l][i] = weights[l][i] > LOWEST ? exp2f(weights[l][i] - lines[l].base) : 0;
      lines[l].weights += weights[l][i];
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
      unsigned terms[COUNT];
      Terms<T>::split(weights[l][half * 2], weights[l][half * 2 + 1], terms);
#pragma unroll
      for (int term = 0; term < COUNT; term++) left[term][half * 2 + l] = terms[term];
    }
  }
#pragma unroll
  for (int pair = 0; pair < D / 16; pair++) {
    unsigned four[4];
    fragments.loadValues(four, tile, pair);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const unsigned right[2] = {four[half * 2], four[half * 2 + 1]};
      /* Fresh ones, as tensor cores cut sums off where they should round. */
      float products[4] = {};
#pragma unroll
      for (int term = COUNT - 1; term >= 0; term--) multiplyTiles<T>(products, left[term], right);
#pragma unroll
      for (int i = 0; i < 4; i++) values[pair * 2 + half][i] += products[i];
    }
  }
}

/* d is at most D and a multiple of 8. */
template <class T, int D>
static __global__ void __launch_bounds__(MOST_WARPS * WARP, 1) attendChunk(const Attention a) {
  unsigned char *shared = dynamicShared();
  const Lines lines = linesOf(a);
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  const int perBlock = blockDim.x / WARP * LINES_PER_WARP;
  const int firstLine = lines.group * perBlock + warp * LINES_PER_WARP;
  Line own[2] = {lineOf(a, lines, firstLine + lane / 4), lineOf(a, lines, firstLine + lane / 4 + 8)};

  /* Tokens that the block's lines see, its share of them, and those that this warp's lines see. */
  const auto positionOf = [&](int line) { return lines.firstPosition + min(line, lines.count - 1) / lines.perRow; };
  const int first = firstSeen(a, positionOf(lines.group * perBlock));
  const int seen = positionOf(lines.group * perBlock + perBlock - 1) + 1;
  const Share share = shareOf(seen - first, a.shares, STEP_TOKENS);
  const int begin = min(seen, first + static_cast<int>(blockIdx.x) * share.tokens), end = min(seen, begin + share.tokens);
  const int ownFirst = firstSeen(a, positionOf(firstLine));
  const int ownLast = firstLine < lines.count ? positionOf(firstLine + LINES_PER_WARP - 1) : -1;

  const T *cached = static_cast<const T *>(a.kv) + (int64_t{a.rows[0].y} * a.Hk + lines.kvHead) * a.S * 2 * a.d;
  const auto copy = [&](int step) {
    const int start = begin + step * STEP_TOKENS;
    unsigned char *to = shared + step % STAGES * STEP_BYTES<D>;
    for (int i = threadIdx.x; start < end && i < STEP_TOKENS * KvTile<D>::CHUNKS; i += blockDim.x) {
      const int at = i / KvTile<D>::CHUNKS, whole = i % KvTile<D>::CHUNKS;
      const int chunk = whole % (D / 8);
      const T *from = cached + (int64_t{start + at} * 2 + whole / (D / 8)) * a.d + chunk * 8;
      copyAsync(to + KvTile<D>::placeOf(at, whole), from, chunk * 8 < a.d && start + at < end);
    }
    commitCopies();
  };
  for (int step = 0; step < STAGES - 1; step++) copy(step);
  unsigned queries[D / 16][Terms<T>::COUNT][4];
  loadQueries<T, D>(queries, a, own);
  float values[D / 8][4] = {};
  const KvTile<D> fragments;

  for (int step = 0; begin + step * STEP_TOKENS < end; step++) {
    awaitCopies<STAGES - 2>();
    __syncthreads();
    /* To where the step before was, which no warp is at any more. */
    copy(step + STAGES - 1);
    const unsigned char *at = shared + step % STAGES * STEP_BYTES<D>;
#pragma unroll 1
    for (int half = 0; half < STEP_TOKENS / TILE_TOKENS; half++) {
      const int start = begin + step * STEP_TOKENS + half * TILE_TOKENS;
      if (start > ownLast || start >= end || start + TILE_TOKENS <= ownFirst) continue;
      attendTile<T, D>(values, own, queries, fragments, at + half * KvTile<D>::BYTES, start);
    }
  }
  awaitCopies<0>();

#pragma unroll
  for (int l = 0; l < 2; l++) {
    const float sum = quadSum(own[l].weights);
    const int p = lane % 4 * 2;
    const int line = warp * LINES_PER_WARP + lane / 4 + l * 8;
    float *to = a.shares == 1 ? a.out + own[l].head * a.d : reinterpret_cast<float *>(linePartOf(a, blockIdx.x, line) + 1);
    const float fraction = a.shares == 1 ? 1 / sum : 1;
    if (own[l].head < 0) continue;
    if (a.shares > 1 && p == 0) *linePartOf(a, blockIdx.x, line) = make_float4(own[l].base, sum, 0, 0);
#pragma unroll
    for (int j = 0; j < D / 8; j++) {
      const float2 two = make_float2(values[j][l * 2] * fraction, values[j][l * 2 + 1] * fraction);
      if (j * 8 < a.d) *reinterpret_cast<float2 *>(to + j * 8 + p) = two;
    }
  }
  if (a.shares > 1 && isLastBlock(a.arrivals + int64_t{blockIdx.z} * gridDim.y + blockIdx.y, a.shares)) mergeLines(a, lines);
}

}  // namespace chunk

}  // namespace ds
