#pragma once

#include "selection.cuh"

namespace ds {

/* Tokens a thread looks at at once: as many loads are under way. */
constexpr int WEIGHED = 4;

/*
 * The importance of the tokens [first, end) to the set's heads, into weights[n], and how many of them fall into each bin. Needs the
 * heads, and the bins cleared.
 */
__device__ inline void weighTokens(const Selection &selection, int set, int first, int end, unsigned *weights) {
  SelectionRoom &room = selectionRoom();
  const Head *heads = selectionHeads();
  const int *scores = selection.scores + int64_t{set} * selection.g * selection.S;
  for (int start = first + threadIdx.x; start < end; start += WEIGHED * blockDim.x) {
    unsigned weight[WEIGHED] = {};
#pragma unroll 2
    for (int q = 0; q < selection.g; q++) {
      const int *row = scores + int64_t{q} * selection.S;
      int score[WEIGHED];
#pragma unroll
      for (int i = 0; i < WEIGHED; i++) score[i] = row[min(start + i * static_cast<int>(blockDim.x), end - 1)];
      const Head head = heads[q];
#pragma unroll
      for (int i = 0; i < WEIGHED; i++) weight[i] += importance(head, score[i], room.table);
    }
#pragma unroll
    for (int i = 0; i < WEIGHED; i++) {
      const int n = start + i * static_cast<int>(blockDim.x);
      if (n < end) weights[n] = weight[i];
      /* Most weights may be 0, and what the other bins do not hold is there. */
      if (n < end && weight[i] > 0) atomicAdd(&room.bins[binOf(weight[i])], 1u);
    }
  }
}

}  // namespace ds
