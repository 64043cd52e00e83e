#pragma once

#include "weigh_tokens.cuh"
#include "write_selected.cuh"

namespace ds {

/* A whole set by one block, in selectionBytes of its memory. Has a barrier after. */
__device__ inline void selectSet(const Selection &selection, int set) {
  SelectionRoom &room = selectionRoom();
  const TokenSet tokens = selection.tokensOf(set);
  unsigned *weights = tokens.kvLen <= selection.sharedTokens ? selectionWeights(selection.g)
                                                             : selection.weights + set * selection.stride;
  loadHeads(selection, set);
  loadTable(room);
  clearBins(room);
  __syncthreads();
  Cut cut = {0, 0};
  if (tokens.wanted > 0) {
    weighTokens(selection, set, tokens.firstFree, tokens.endFree, weights);
    __syncthreads();
    cut = findCut(room, findBin(room, tokens.wanted), [&](auto look) {
      for (int n = tokens.firstFree + threadIdx.x; n < tokens.endFree; n += blockDim.x) look(weights[n]);
    });
  }
  if (threadIdx.x == 0) selection.counts[set] = min(tokens.count(), selection.K);
  writeSelected(selection, set, tokens, cut, {0, 0}, 0, tokens.kvLen, weights, selection.tailMass + int64_t{set} * selection.g);
}

}  // namespace ds
