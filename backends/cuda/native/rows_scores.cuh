/* The labels' scores of selected tokens, as the tail wants them. */
#pragma once

#include "attention.cuh"

namespace ds {

namespace rows {

/* The labels' scores of a lane's head, and the tokens that count: `tokens` of them from `firstFree` on, those not forced. */
struct FreeScores {
  const int *row;
  int firstFree;
  unsigned tokens;
  float perScore;
};

__device__ inline FreeScores freeScoresOf(const Attention &a, const Seat &seat) {
  const int h = threadIdx.x % WARP / 4;
  const bool isHead = h < seat.heads;
  const int64_t head = int64_t{seat.t} * a.Hq + seat.firstHead + (isHead ? h : 0);
  const int tokens = isHead ? max(seat.row.z - a.recentTokens - a.sinkTokens, 0) : 0;
  return {a.scores + head * a.S, a.sinkTokens, static_cast<unsigned>(tokens), logitPerScore(a, head)};
}

/* Of the lane's four tokens of a tile: their scores, and bit i where token i counts. */
struct TileScores {
  int scores[4];
  unsigned areFree;
};

/* Of the tile that starts at `start`; `held`: its tokens, one to a lane. Reads something where nothing counts, for want of a wait. */
__device__ inline void loadScores(TileScores &to, const FreeScores &free, const Tokens &tokens, int start, int held) {
  const int p = threadIdx.x % 4 * 2;
  to.areFree = 0;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int at = i / 2 * 8 + p + i % 2;
    const int token = __shfl_sync(ALL_LANES, held, at);
    const bool isFree = static_cast<unsigned>(token - free.firstFree) < free.tokens && start + at < tokens.selectedEnd;
    to.areFree |= isFree << i;
    to.scores[i] = __ldg(free.row + (isFree ? token : 0));
  }
}

}  // namespace rows

}  // namespace ds
