/* Where the selected weights end, found by counting, without a sort. */
#pragma once

#include "block_scan.cuh"
#include "selection.cuh"

namespace ds {

/* The least selected weight, and how many of exactly that weight are selected. */
struct Cut {
  unsigned threshold, ofThreshold;
};

/* A bin, how many of its weights are selected, and how many there are. */
struct Bin {
  unsigned bin, selected, count;
};

/*
 * Of room.bins: the one that the `wanted`-th weight from above lies in. The lowest bin counts as holding all that the others do
 * not. Needs a barrier before, has one after.
 */
__device__ inline Bin findBin(SelectionRoom &room, unsigned wanted) {
  const int each = BINS / blockDim.x;
  const int top = BINS - 1 - threadIdx.x * each;
  unsigned own = 0;
  for (int i = 0; i < each; i++) own += room.bins[top - i];
  unsigned above = scanThreads(own, room.scans[0]).before;
  const bool isLast = threadIdx.x == blockDim.x - 1;
  if (above < wanted && (isLast || above + own >= wanted)) {
    int bin = top;
    for (; bin > 0 && above + room.bins[bin] < wanted; bin--) above += room.bins[bin];
    room.found[0] = bin;
    room.found[1] = wanted - above;
    room.found[2] = room.bins[bin];
  }
  __syncthreads();
  return {room.found[0], room.found[1], room.found[2]};
}

/*
 * The cut within a bin of weights, some bits at a time. visit(look) calls look(weight) for all weights of the bin, and may for
 * others, by any threads. Has a barrier before and after.
 */
template <class Visit>
__device__ inline Cut findCut(SelectionRoom &room, Bin bin, Visit visit) {
  unsigned bits = freeBitsOf(bin.bin);
  unsigned threshold = leastOf(bin.bin);
  bool isListed = false;
  while (bits > 0) {
    const unsigned shift = bits - min(bits, static_cast<unsigned>(DIGIT_BITS));
    const unsigned largest = (1u << (bits - shift)) - 1;
    const bool lists = !isListed && bin.count <= CANDIDATES;
    __syncthreads();
    clearBins(room);
    if (lists && threadIdx.x == 0) room.listed = 0;
    __syncthreads();
    const auto look = [&](unsigned weight) {
      if (weight >> bits != threshold >> bits) return;
      atomicAdd(&room.bins[weight >> shift & largest], 1u);
      if (lists) room.candidates[atomicAdd(&room.listed, 1u)] = weight;
    };
    if (isListed) {
      for (unsigned i = threadIdx.x; i < room.listed; i += blockDim.x) look(room.candidates[i]);
    } else {
      visit(look);
    }
    __syncthreads();
    bin = findBin(room, bin.selected);
    threshold |= bin.bin << shift;
    isListed = isListed || lists;
    bits = shift;
  }
  return {threshold, bin.selected};
}

}  // namespace ds
