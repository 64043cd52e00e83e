#include <algorithm>

#include "attend_chunk.cuh"
#include "attend_launch.cuh"
#include "attend_rows.cuh"

namespace ds {

/* Of a share: fewer do not pay for putting the shares together. */
constexpr int LEAST_SEEN = 256;
/* Rows from which a chunk is not just rows. */
constexpr int LEAST_CHUNK_ROWS = 8;

template <class T, int D>
static void attendRows(ds_stream *stream, Attention &a, int64_t mostTokens) {
  splitTokens(stream, a, splittingOf(a, mostTokens, LEAST_SEEN));
  launch(stream, {blocksOf(a), rows::THREADS, size_t{rows::WARPS} * rows::Ring<T, D>::BYTES}, rows::attendRows<T, D, false>, a);
}

template <class T, int D>
static void attendChunk(ds_stream *stream, Attention &a, int64_t mostTokens) {
  const int lines = a.T * (a.Hq / a.Hk);
  int warps = std::min(chunk::MOST_WARPS, divideUp(lines, chunk::LINES_PER_WARP));
  const auto blocks = [&] { return int64_t{divideUp(lines, warps * chunk::LINES_PER_WARP)} * a.Hk; };
  /* Smaller blocks where large ones would leave a quarter of the multiprocessors without one. */
  while (warps > 4 && 4 * blocks() < 3 * stream->facts.multiprocessors) warps = divideUp(warps, 2);
  splitTokens(stream, a, {blocks(), 1, int64_t{warps} * chunk::LINES_PER_WARP, false, mostTokens, LEAST_SEEN, chunk::MOST_SHARES});
  const dim3 grid(static_cast<unsigned>(a.shares), static_cast<unsigned>(blocks() / a.Hk), static_cast<unsigned>(a.Hk));
  const unsigned threads = static_cast<unsigned>(warps * WARP);
  launch(stream, {grid, threads, size_t{chunk::STAGES} * chunk::STEP_BYTES<D>}, chunk::attendChunk<T, D>, a);
}

template <class T, int D>
static void attendOn(ds_stream *stream, Attention &a, int64_t mostTokens) {
  if (stream->isChunk && a.T >= LEAST_CHUNK_ROWS) attendChunk<T, D>(stream, a, mostTokens);
  else attendRows<T, D>(stream, a, mostTokens);
}

}  // namespace ds

ds_status ds_attend(ds_stream *stream, ds_tensor *out, ds_tensor *qkv, ds_tensor *kv, float scale, int64_t window) {
  using namespace ds;
  return guarded([&] {
    Attention a = attentionOf(stream, out, qkv, kv, 0, scale);
    a.window = static_cast<int>(std::min(window, a.S));
    const int64_t mostTokens = window > 0 ? std::min(window, a.S) : a.S;
    if (!isForTensorCores(kv)) {
      attendPlainly(stream, a, kv->dtype, mostTokens);
    } else if (kv->dtype == DS_F16) {
      a.d > 64 ? attendOn<Half, 128>(stream, a, mostTokens) : attendOn<Half, 64>(stream, a, mostTokens);
    } else {
      a.d > 64 ? attendOn<Brain, 128>(stream, a, mostTokens) : attendOn<Brain, 64>(stream, a, mostTokens);
    }
  });
}
