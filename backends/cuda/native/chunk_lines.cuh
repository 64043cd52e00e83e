/* Lines of a prefill chunk, rows and query heads, and how the last block of some puts their shares of the tokens together. */
#pragma once

#include "attend_parts.cuh"

namespace ds {

namespace chunk {

constexpr int LINES_PER_WARP = 16;
/* Putting shares together has a lane for each. */
constexpr int MOST_SHARES = WARP;

/* One of a lane's two lines. */
struct Line {
  /* Of [T · Hq], -1 where there is none. */
  int64_t head;
  /* The first token it sees and its position, the last. */
  int first, position;
  float perProduct, base, weights;
};

/* A block's: which group of all `count` of its KV head, the ones that see most first. */
struct Lines {
  int group, perRow, count, firstPosition, kvHead;
};

__device__ inline Lines linesOf(const Attention &a) {
  const int perRow = a.Hq / a.Hk;
  return {static_cast<int>(gridDim.y - 1 - blockIdx.y), perRow, a.T * perRow, a.rows[0].z, static_cast<int>(blockIdx.z)};
}

__device__ inline int firstSeen(const Attention &a, int position) { return a.window > 0 ? max(0, position + 1 - a.window) : 0; }

__device__ inline Line lineOf(const Attention &a, const Lines &lines, int at) {
  if (at >= lines.count) return {-1, 0, -1, 0, LOWEST, 0};
  const int t = at / lines.perRow;
  const int position = lines.firstPosition + t;
  return {int64_t{t} * a.Hq + lines.kvHead * lines.perRow + at % lines.perRow, firstSeen(a, position), position, 0, LOWEST, 0};
}

/* Parts of a block: of every share and line. */
__device__ inline float4 *linePartOf(const Attention &a, int share, int line) {
  const int64_t block = int64_t{blockIdx.z} * gridDim.y + blockIdx.y;
  const int lines = blockDim.x / WARP * LINES_PER_WARP;
  return a.parts + ((block * a.shares + share) * lines + line) * (1 + a.width);
}

/* out ← the parts of this block's lines: a warp each. */
__device__ inline void mergeLines(const Attention &a, const Lines &lines) {
  const int lane = threadIdx.x % WARP, perBlock = blockDim.x / WARP * LINES_PER_WARP;
  for (int at = threadIdx.x / WARP; at < perBlock; at += blockDim.x / WARP) {
    const Line line = lineOf(a, lines, lines.group * perBlock + at);
    if (line.head < 0) continue;
    const float4 header = lane < a.shares ? __ldcg(linePartOf(a, lane, at)) : make_float4(LOWEST, 0, 0, 0);
    const float factor = exp2f(header.x - warpMax(header.x));
    const float fraction = 1 / warpSum(factor * header.y);
    const int64_t stride = linePartOf(a, 1, at) - linePartOf(a, 0, at);
    for (int first = 0; first < a.width; first += WARP) {
      const int i = min(first + lane, a.width - 1);
      const auto factorOf = [=](int share) { return __shfl_sync(ALL_LANES, factor, share); };
      const float4 sum = sumOfParts(linePartOf(a, 0, at) + 1 + i, stride, a.shares, factorOf);
      if (first + lane < a.width) leaveFour(a.out + line.head * a.d, i * 4, a.d, sum, fraction);
    }
  }
}

}  // namespace chunk

}  // namespace ds
