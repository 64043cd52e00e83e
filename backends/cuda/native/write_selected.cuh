#pragma once

#include "block_scan.cuh"
#include "find_cut.cuh"

namespace ds {

/* Tokens a lane looks at at once. */
constexpr int WRITTEN = 4;

/* Heavier tokens, and tokens of exactly the least selected weight. */
struct Passed {
  unsigned above, equal;
};

/*
 * The set's selected tokens within [first, end), in their places, and into masses[q] of each of its heads Σ exp(μ·(score - max)) of
 * the others there; `passed` were in the set before. Needs the heads; has a barrier after.
 */
__device__ inline void writeSelected(const Selection &selection, int set, const TokenSet &tokens, Cut cut, Passed passed, int first,
                                     int end, const unsigned *weights, float *masses) {
  SelectionRoom &room = selectionRoom();
  const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  const unsigned lanesBefore = (1u << lane) - 1;
  const bool chooses = tokens.wanted > 0, leaves = tokens.firstFree < tokens.endFree;
  int *indices = selection.indices + int64_t{set} * selection.K;
  for (int firstHead = 0; firstHead < selection.g; firstHead += TAIL_HEADS) {
    const int *scores = selection.scores + (int64_t{set} * selection.g + firstHead) * selection.S;
    const Head *heads = selectionHeads() + firstHead;
    const int count = min(selection.g - firstHead, TAIL_HEADS);
    float mass[TAIL_HEADS] = {};
    Passed before = passed;
    int side = 0;
    for (int start = first; start < end; start += WRITTEN * blockDim.x, side ^= 1) {
      const int mine = start + warp * WRITTEN * WARP + lane;
      unsigned above[WRITTEN], equal[WRITTEN], own = 0;
#pragma unroll
      for (int i = 0; i < WRITTEN; i++) {
        const int n = mine + i * WARP;
        const bool isFree = chooses && n < end && n >= tokens.firstFree && n < tokens.endFree;
        const unsigned weight = isFree ? weights[n] : 0;
        above[i] = __ballot_sync(ALL_LANES, isFree && weight > cut.threshold);
        equal[i] = __ballot_sync(ALL_LANES, isFree && weight == cut.threshold);
        own += __popc(above[i]) | __popc(equal[i]) << 16;
      }
      Passed here = before;
      if (chooses) {
        const Scan scan = scanWarps(own, room.scans[side]);
        here = {before.above + (scan.before & 0xffff), before.equal + (scan.before >> 16)};
        before = {before.above + (scan.total & 0xffff), before.equal + (scan.total >> 16)};
      }
      unsigned isLeft = 0;
#pragma unroll
      for (int i = 0; i < WRITTEN; i++) {
        const int n = mine + i * WARP;
        const unsigned heavier = here.above + __popc(above[i] & lanesBefore);
        const unsigned as = here.equal + __popc(equal[i] & lanesBefore);
        int place = selection.K;
        if (n < tokens.firstFree) {
          place = n;
        } else if (n >= tokens.endFree) {
          place = tokens.firstFree + tokens.wanted + n - tokens.endFree;
        } else if ((above[i] >> lane & 1) != 0 || ((equal[i] >> lane & 1) != 0 && as < cut.ofThreshold)) {
          place = tokens.firstFree + heavier + min(as, cut.ofThreshold);
        }
        here.above += __popc(above[i]);
        here.equal += __popc(equal[i]);
        if (n >= end) continue;
        /* More than K is the caller's mistake, but nothing may be written past it. */
        if (place >= selection.K) isLeft |= 1u << i;
        else if (firstHead == 0) indices[place] = n;
      }
      if (!leaves) continue;
#pragma unroll
      for (int q = 0; q < TAIL_HEADS; q++) {
        if (q >= count) break;
        const int *row = scores + int64_t{q} * selection.S;
        int score[WRITTEN];
#pragma unroll
        for (int i = 0; i < WRITTEN; i++) score[i] = row[min(mine + i * WARP, end - 1)];
        const Head head = heads[q];
#pragma unroll
        for (int i = 0; i < WRITTEN; i++) {
          const float term = expf(-head.perScore * static_cast<float>(head.largest - score[i]));
          if ((isLeft >> i & 1) != 0) mass[q] += term;
        }
      }
    }
#pragma unroll
    for (int q = 0; q < TAIL_HEADS; q++) {
      const float sum = warpSum(mass[q]);
      if (lane == 0) room.masses[warp][q] = sum;
    }
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < count) {
      float sum = 0;
      for (unsigned other = 0; other < blockDim.x / WARP; other++) sum += room.masses[other][threadIdx.x];
      masses[firstHead + threadIdx.x] = sum;
    }
    __syncthreads();
  }
}

}  // namespace ds
