/* What the selection's kernels are given, and the shared memory they work in. */
#pragma once

#include "importance.cuh"
#include "token_set.cuh"
#include "weight_bins.cuh"

namespace ds {

/* Set s = t·H + h is that of the query heads [s·g, (s + 1)·g) of [T·Hq]. */
struct Selection {
  const Row *rows;
  /* [T, Hq, S], [T, Hq], [T, Hq], [T, H] */
  const int *scores, *exponents, *maxima, *heavyTokens;
  /* [T, H, K], [T, H], [T, Hq] */
  int *indices, *counts;
  float *tailMass;
  int H, g, S, K, sinkTokens, recentTokens;
  ImportanceScale scale;
  /* 1/√d */
  float perUnit;
  /* Importance u32 [T·H, stride] of the free tokens, and up to what kvLen a block has room for them in its own memory. */
  unsigned *weights;
  int64_t stride;
  int sharedTokens;

  __device__ TokenSet tokensOf(int set) const {
    return tokenSet(rows[set / H].z, heavyTokens[set], sinkTokens, recentTokens);
  }
};

/* Weights of one bin that are looked at again in shared memory. */
constexpr int CANDIDATES = 2048;
/* Query heads whose tails are summed in one go. */
constexpr int TAIL_HEADS = 8;

struct SelectionRoom {
  /* IMPORTANCE_TABLE, which is read all over the place. */
  unsigned table[256];
  unsigned bins[BINS];
  unsigned candidates[CANDIDATES];
  unsigned listed;
  unsigned found[3];
  unsigned scans[2][WARP];
  float masses[WARP][TAIL_HEADS];
};

/* The room, then g heads, then weights. */
__device__ inline SelectionRoom &selectionRoom() { return *reinterpret_cast<SelectionRoom *>(dynamicShared()); }
__device__ inline Head *selectionHeads() { return reinterpret_cast<Head *>(&selectionRoom() + 1); }
__device__ inline unsigned *selectionWeights(int g) { return reinterpret_cast<unsigned *>(selectionHeads() + g); }
static_assert(sizeof(SelectionRoom) % 16 == 0 && sizeof(Head) == 16, "what follows is aligned");

inline int64_t selectionBytes(int g, int sharedTokens) {
  return sizeof(SelectionRoom) + int64_t{sizeof(Head)} * g + 4 * int64_t{sharedTokens};
}

/* These are done after a barrier. */
__device__ inline void loadHeads(const Selection &selection, int set) {
  for (int q = threadIdx.x; q < selection.g; q += blockDim.x) {
    const int64_t at = int64_t{set} * selection.g + q;
    selectionHeads()[q] = headOf(selection.maxima[at], selection.exponents[at], selection.scale, selection.perUnit);
  }
}

__device__ inline void loadTable(SelectionRoom &room) {
  for (int f = threadIdx.x; f < 256; f += blockDim.x) room.table[f] = IMPORTANCE_TABLE[f];
}

__device__ inline void clearBins(SelectionRoom &room) {
  for (int bin = threadIdx.x; bin < BINS; bin += blockDim.x) room.bins[bin] = 0;
}

}  // namespace ds
