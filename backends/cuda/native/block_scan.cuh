/* Sums over the threads of a block that come before. Blocks are whole warps. */
#pragma once

#include "device.cuh"

namespace ds {

struct Scan {
  unsigned before, total;
};

/*
 * Over a block's warps, of a value that all lanes of a warp agree on, by way of `room` of an entry per warp. Needs a barrier before
 * `room` is used again.
 */
__device__ inline Scan scanWarps(unsigned value, unsigned *room) {
  const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  if (lane == 0) room[warp] = value;
  __syncthreads();
  unsigned sum = lane < static_cast<int>(blockDim.x / WARP) ? room[lane] : 0;
  for (int lanes = 1; lanes < WARP; lanes *= 2) {
    const unsigned other = __shfl_up_sync(ALL_LANES, sum, lanes);
    if (lane >= lanes) sum += other;
  }
  return {__shfl_sync(ALL_LANES, sum, warp) - value, __shfl_sync(ALL_LANES, sum, WARP - 1)};
}

/* Over a block's threads; `room` as above. */
__device__ inline Scan scanThreads(unsigned value, unsigned *room) {
  const int lane = threadIdx.x % WARP;
  unsigned sum = value;
  for (int lanes = 1; lanes < WARP; lanes *= 2) {
    const unsigned other = __shfl_up_sync(ALL_LANES, sum, lanes);
    if (lane >= lanes) sum += other;
  }
  Scan scan = scanWarps(__shfl_sync(ALL_LANES, sum, WARP - 1), room);
  scan.before += sum - value;
  return scan;
}

}  // namespace ds
