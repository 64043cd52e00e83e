/* Scores of all tokens by their labels, and what may follow once those of a set are done. */
#pragma once

#include "last_block.cuh"
#include "quantise_query.cuh"
#include "score_tokens.cuh"
#include "select_set.cuh"
#include "selection_plan.cuh"

namespace ds {

__host__ __device__ inline unsigned keyOf(int score) { return static_cast<unsigned>(score) ^ 0x80000000u; }
__host__ __device__ inline int scoreOfKey(unsigned key) { return static_cast<int>(key ^ 0x80000000u); }

/* For G heads in one go: codes [C/4, G], w f32 [G, C], then the largest score of each. */
template <int G>
struct ScoringRoom {
  int *codes;
  float *w;
  int *largest;

  __device__ explicit ScoringRoom(int C)
      : codes(reinterpret_cast<int *>(dynamicShared())),
        w(reinterpret_cast<float *>(codes + C / 4 * G)),
        largest(reinterpret_cast<int *>(w + G * C)) {}
  static int64_t bytes(int C) { return int64_t{4} * (C / 4 * G + G * C + G); }
};

/*
 * scores [T, Hq, S] of the kvLen tokens of every row, its exponents and maxima: each label is read once for the G heads of its
 * group (for G at a time where there are more). Where `SELECTS`, the last block of a row and KV head goes on to select its sets.
 */
template <int G, bool SELECTS>
static __global__ void __launch_bounds__(ALONE_THREADS) scoreLabels(Scoring scoring, Selection selection) {
  const int set = blockIdx.x / scoring.parts, part = blockIdx.x % scoring.parts;
  const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  const int t = set / scoring.Hk, h = set % scoring.Hk, g = scoring.g, C = scoring.channelCount();
  const Row row = scoring.rows[t];
  const Share share = shareOf(row.z + 1, scoring.parts, SHARE_GRAIN);
  if (part >= share.blocks) return;
  const int first = part * share.tokens, end = min(first + share.tokens, row.z + 1);
  const ScoringRoom<G> room(C);
  for (int base = 0; base < g; base += G) {
    if (warp < G) {
      int exponent = 0;
      const int q = set * g + base + warp;
      if (base + warp < g) {
        const int64_t query = (int64_t{t} * (scoring.Hq + 2 * scoring.Hk) + h * g + base + warp) * scoring.d;
        exponent = quantiseQuery(scoring.qkv + query, scoring.channels + h * C, scoring.step + h * C, scoring.wide,
                                 scoring.narrow, room.w + warp * C, room.codes + warp, G);
        if (lane == 0 && part == 0) scoring.exponents[q] = exponent;
      }
      if (lane == 0) room.largest[warp] = INT32_MIN;
    }
    __syncthreads();
    int largest[G];
    for (int q = 0; q < G; q++) largest[q] = INT32_MIN;
    const int W = scoring.wide / 8 + scoring.narrow / 16;
    if (W % 4 == 0) scoreTokens<G, 4>(scoring, row, set, base, first, end, room.codes, largest);
    else if (W % 2 == 0) scoreTokens<G, 2>(scoring, row, set, base, first, end, room.codes, largest);
    else scoreTokens<G, 1>(scoring, row, set, base, first, end, room.codes, largest);
    for (int q = 0; q < G; q++) {
      for (int lanes = WARP / 2; lanes > 0; lanes /= 2) largest[q] = max(largest[q], __shfl_xor_sync(ALL_LANES, largest[q], lanes));
      if (lane == 0) atomicMax(&room.largest[q], largest[q]);
    }
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < min(G, g - base)) {
      const int q = set * g + base + threadIdx.x, most = room.largest[threadIdx.x];
      if (share.blocks == 1) scoring.maxima[q] = most;
      else atomicMax(&scoring.keys[q], keyOf(most));
    }
    __syncthreads();
  }
  if (share.blocks > 1) {
    if (!isLastBlock(&scoring.arrivals[set], share.blocks)) return;
    for (int q = set * g + threadIdx.x; q < (set + 1) * g; q += blockDim.x) {
      scoring.maxima[q] = scoreOfKey(atomicExch(&scoring.keys[q], 0u));
    }
    __syncthreads();
  }
  if constexpr (SELECTS) {
    const int sets = g / selection.g;
    for (int i = 0; i < sets; i++) selectSet(selection, set * sets + i);
  }
}

/* Scores, and in the same launch the selection where there is one. */
template <bool SELECTS>
void launchScoring(ds_stream *stream, ds_tensor *scores, ds_tensor *exponents, ds_tensor *maxima, const ds_tensor *qkv, int wide,
                   int narrow, const ds_tensor *words, const ds_tensor *channels, const ds_tensor *step,
                   const Selection &selection) {
  const int T = stream->T, Hk = words->shape[1], Hq = scores->shape[1], S = scores->shape[2], g = Hq / Hk, sets = T * Hk;
  const int threads = SELECTS ? selectThreads(stream, sets) : SELECT_THREADS;
  const Scoring scoring = {stream->rows,
                           dataOf<int>(scores),
                           dataOf<int>(exponents),
                           dataOf<int>(maxima),
                           dataOf<float>(qkv),
                           dataOf<unsigned>(words),
                           dataOf<int>(channels),
                           dataOf<float>(step),
                           Hq,
                           Hk,
                           g,
                           static_cast<int>(columnsOf(qkv)),
                           S,
                           wide,
                           narrow,
                           partsOf(stream, sets, S, threads),
                           stream->scratchOf<unsigned>("scores: keys", int64_t{T} * Hq, true),
                           stream->scratchOf<unsigned>("scores: arrivals", sets, true)};
  const int64_t selectBytes = SELECTS ? selectionBytes(selection.g, selection.sharedTokens) : 0;
  const auto run = [&](auto kernel, int64_t bytes) {
    launch(stream, {dim3(sets * scoring.parts), dim3(threads), static_cast<size_t>(std::max(bytes, selectBytes))}, kernel, scoring,
           selection);
  };
  const int C = scoring.channelCount();
  if (g == 1) run(scoreLabels<1, SELECTS>, ScoringRoom<1>::bytes(C));
  else if (g == 2) run(scoreLabels<2, SELECTS>, ScoringRoom<2>::bytes(C));
  else if (g <= 4) run(scoreLabels<4, SELECTS>, ScoringRoom<4>::bytes(C));
  else run(scoreLabels<8, SELECTS>, ScoringRoom<8>::bytes(C));
}

}  // namespace ds
