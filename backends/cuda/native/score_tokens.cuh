/* Scores of some tokens of a row and KV head by their labels. */
#pragma once

#include "device.cuh"

namespace ds {

struct Scoring {
  const Row *rows;
  /* [T, Hq, S], [T, Hq], [T, Hq] */
  int *scores, *exponents, *maxima;
  /* f32 [T, Hq + 2·Hk, d], u32 [slots, Hk, S, W], [Hk, C], [Hk, C] */
  const float *qkv;
  const unsigned *words;
  const int *channels;
  const float *step;
  int Hq, Hk, g, d, S, wide, narrow;
  /* Blocks per row and KV head. */
  int parts;
  /* [T·Hq] and [T·Hk], 0 between launches: the largest score so far as an unsigned number of the same order, and blocks done. */
  unsigned *keys, *arrivals;

  __host__ __device__ int channelCount() const { return wide + narrow; }
};

/* A thread's tokens at once, so that as many loads are under way. */
template <int G>
constexpr int SCORED = G > 2 ? 2 : 4;

template <int WORDS>
__device__ inline void loadWords(unsigned (&words)[WORDS], const unsigned *label) {
  if constexpr (WORDS == 4) {
    const uint4 all = *reinterpret_cast<const uint4 *>(label);
    words[0] = all.x, words[1] = all.y, words[2] = all.z, words[3] = all.w;
  } else if constexpr (WORDS == 2) {
    const uint2 all = *reinterpret_cast<const uint2 *>(label);
    words[0] = all.x, words[1] = all.y;
  } else {
    words[0] = *label;
  }
}

/* Adds what a word of each token's label, PARTS codes to a byte, comes to; `codes` are the queries'. */
template <int PARTS, int TOKENS, int G>
__device__ inline void addWord(int (&sums)[TOKENS][G], const unsigned (&words)[TOKENS], const int *codes) {
  constexpr int BITS = 8 / PARTS, CODE = 0x01010101 * ((1 << BITS) - 1);
#pragma unroll
  for (int part = 0; part < PARTS; part++) {
#pragma unroll
    for (int i = 0; i < TOKENS; i++) {
      const int met = static_cast<int>(words[i] >> (BITS * part)) & CODE;
#pragma unroll
      for (int q = 0; q < G; q++) sums[i][q] = __dp4a(codes[part * G + q], met, sums[i][q]);
    }
  }
}

/*
 * Scores of the tokens [first, end) of one row and KV head, for heads [base, base + G) of its group, and the largest of each.
 * Labels are a multiple of WORDS words, loaded so many at once.
 */
template <int G, int WORDS>
__device__ inline void scoreTokens(const Scoring &scoring, const Row &row, int set, int base, int first, int end, const int *codes,
                                   int (&largest)[G]) {
  constexpr int TOKENS = SCORED<G>;
  const int wideWords = scoring.wide / 8, W = wideWords + scoring.narrow / 16;
  const unsigned *labels = scoring.words + (int64_t{row.y} * scoring.Hk + set % scoring.Hk) * scoring.S * W;
  int *scores = scoring.scores + (int64_t{set} * scoring.g + base) * scoring.S;
#pragma unroll 1
  for (int start = first + threadIdx.x; start < end; start += TOKENS * blockDim.x) {
    int sums[TOKENS][G] = {};
    unsigned label[TOKENS];
#pragma unroll
    for (int i = 0; i < TOKENS; i++) {
      const int n = start + i * static_cast<int>(blockDim.x);
      label[i] = static_cast<unsigned>(n < min(end, row.z) ? n : row.w) * W;
    }
    const int *asked = codes;
#pragma unroll 1
    for (int word = 0; word < W; word += WORDS) {
      unsigned words[WORDS][TOKENS];
#pragma unroll
      for (int i = 0; i < TOKENS; i++) {
        unsigned loaded[WORDS];
        loadWords<WORDS>(loaded, labels + label[i] + word);
        for (int j = 0; j < WORDS; j++) words[j][i] = loaded[j];
      }
#pragma unroll
      for (int j = 0; j < WORDS; j++) {
        if (word + j < wideWords) {
          addWord<2>(sums, words[j], asked);
          asked += 2 * G;
        } else {
          addWord<4>(sums, words[j], asked);
          asked += 4 * G;
        }
      }
    }
#pragma unroll
    for (int q = 0; q < G; q++) {
      if (base + q >= scoring.g) break;
#pragma unroll
      for (int i = 0; i < TOKENS; i++) {
        const int n = start + i * static_cast<int>(blockDim.x);
        if (n >= end) continue;
        scores[int64_t{q} * scoring.S + n] = sums[i][q];
        largest[q] = max(largest[q], sums[i][q]);
      }
    }
  }
}

}  // namespace ds
