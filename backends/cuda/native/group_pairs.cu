#include "group_pairs.cuh"

#include <algorithm>

namespace ds {

constexpr int WARPS = 32;

/* One block; a warp counts and places the pairs of an expert, in order. */
static __global__ void __launch_bounds__(WARPS *WARP)
    group(int4 *tiles, int *pairs, const int *experts, int count, int E, int tileRows, int most) {
  /* Pairs of an expert, then where they start; where its tiles start. */
  int *starts = reinterpret_cast<int *>(dynamicShared()), *tileStarts = starts + E + 1;
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  for (int e = warp; e < E; e += WARPS) {
    int found = 0;
    for (int from = 0; from < count; from += WARP) {
      const int at = from + lane;
      found += __popc(__ballot_sync(ALL_LANES, at < count && experts[at] == e));
    }
    if (lane == 0) starts[e] = found;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    int start = 0, tile = 0;
    for (int e = 0; e < E; e++) {
      const int found = starts[e];
      starts[e] = start;
      tileStarts[e] = tile;
      start += found;
      tile += divideUp(found, tileRows);
    }
    starts[E] = start;
    tileStarts[E] = tile;
  }
  __syncthreads();
  for (int e = warp; e < E; e += WARPS) {
    int to = starts[e];
    for (int from = 0; from < count; from += WARP) {
      const int at = from + lane;
      const bool isChosen = at < count && experts[at] == e;
      const unsigned all = __ballot_sync(ALL_LANES, isChosen);
      if (isChosen) pairs[to + __popc(all & ((1u << lane) - 1))] = at;
      to += __popc(all);
    }
    for (int tile = tileStarts[e] + lane; tile < tileStarts[e + 1]; tile += WARP) {
      const int start = starts[e] + (tile - tileStarts[e]) * tileRows;
      tiles[tile] = make_int4(e, start, min(tileRows, starts[e + 1] - start), 0);
    }
  }
  for (int tile = tileStarts[E] + threadIdx.x; tile < most; tile += WARPS * WARP) tiles[tile] = make_int4(0, 0, 0, 0);
}

Groups groupPairs(ds_stream *stream, const int *experts, int count, int E, int tileRows) {
  const int most = count / tileRows + std::min(count, E);
  int4 *tiles = stream->scratchOf<int4>("tiles of experts", most);
  int *pairs = stream->scratchOf<int>("pairs of experts", count);
  launch(stream, {1, WARPS * WARP, 2 * (E + 1) * sizeof(int)}, group, tiles, pairs, experts, count, E, tileRows, most);
  return {tiles, pairs, most};
}

}  // namespace ds
