/* How scoring and selection are spread over a device: by shapes alone, so that a recorded step stays right as texts grow. */
#pragma once

#include <algorithm>

#include "selection.cuh"
#include "stream.cuh"

namespace ds {

/* Of slots this long a set is no longer one block's work, unless there are sets for half of the multiprocessors. */
constexpr int ONE_BLOCK_TOKENS = 16384;
/* Threads of a block that selects alone on its multiprocessor, and of one that has company. */
constexpr int ALONE_THREADS = 1024, SELECT_THREADS = 512;
/* Shares of a row are multiples of this, and of slots no shorter than that. */
constexpr int SHARE_GRAIN = 128, LEAST_SHARE = 1024;
/* Blocks that share a set are counted in one go by as many threads. */
constexpr int MOST_PARTS = SELECT_THREADS;

inline bool isOneBlock(const ds_stream *stream, int sets, int S) {
  return S <= ONE_BLOCK_TOKENS || sets >= stream->facts.multiprocessors / 2;
}

inline int selectThreads(const ds_stream *stream, int sets) {
  return sets < stream->facts.multiprocessors ? ALONE_THREADS : SELECT_THREADS;
}

/*
 * Blocks per set of slots of S tokens, of so many threads: as many in all as the device runs at once; where there are more sets
 * than that, several rounds of blocks, so that the last round, which may not fill the device, is short.
 */
inline int partsOf(const ds_stream *stream, int sets, int S, int threads) {
  const int room = ALONE_THREADS / threads * stream->facts.multiprocessors;
  const int parts = sets <= room ? room / sets : divideUp(4 * room, sets);
  return std::min({parts, divideUp(S, LEAST_SHARE), MOST_PARTS});
}

/* The tensors of an op, and memory for weights where a block cannot hold a slot's; `isWhole`: a block does a whole set. */
inline Selection selectionOf(ds_stream *stream, bool isWhole, const ds_tensor *indices, const ds_tensor *counts,
                             const ds_tensor *tailMass, const ds_tensor *scores, const ds_tensor *exponents,
                             const ds_tensor *maxima, const ds_tensor *heavyTokens, int headDim, int sinkTokens,
                             int recentTokens) {
  const int Hq = scores->shape[1], S = scores->shape[2], H = indices->shape[1], K = indices->shape[2], g = Hq / H;
  /* Half of a multiprocessor's, so that two blocks fit: each takes another kilobyte, and the most for one block leaves it that. */
  const int64_t room = ((stream->sharedBytes - 1024) / 2 - selectionBytes(g, 0)) / 4;
  const int sharedTokens = isWhole ? static_cast<int>(std::clamp<int64_t>(room, 0, S)) : 0;
  const int64_t stride = divideUp(S, 64) * int64_t{64};
  unsigned *weights = sharedTokens == S ? nullptr : stream->scratchOf<unsigned>("selection: weights", stream->T * H * stride);
  return {stream->rows,
          dataOf<int>(scores),
          dataOf<int>(exponents),
          dataOf<int>(maxima),
          dataOf<int>(heavyTokens),
          dataOf<int>(indices),
          dataOf<int>(counts),
          dataOf<float>(tailMass),
          H,
          g,
          S,
          K,
          sinkTokens,
          recentTokens,
          importanceScale(headDim),
          static_cast<float>(1 / std::sqrt(static_cast<double>(headDim))),
          weights,
          stride,
          sharedTokens};
}

}  // namespace ds
