/* Work split over blocks, none of which may wait for another: the last one to end its share puts the shares together. */
#pragma once

#include "device.cuh"

namespace ds {

/*
 * Whether all other `count` - 1 blocks that share `arrivals` (0 before, and again after) have been here. The last one sees what
 * they wrote before. All threads of a block must call.
 */
__device__ inline bool isLastBlock(unsigned *arrivals, unsigned count) {
  __syncthreads();
  bool isLast = false;
  if (threadIdx.x == 0) {
    __threadfence();
    isLast = atomicAdd(arrivals, 1u) == count - 1;
    if (isLast) *arrivals = 0;
    __threadfence();
  }
  return __syncthreads_count(isLast) > 0;
}

/* How many of `parts` blocks a row of `kvLen` tokens keeps busy, and the tokens of each: a multiple of `grain`, but for the last. */
struct Share {
  int tokens, blocks;
};

__device__ inline Share shareOf(int kvLen, int parts, int grain) {
  const int tokens = divideUp(divideUp(kvLen, parts), grain) * grain;
  return {tokens, divideUp(kvLen, tokens)};
}

}  // namespace ds
