#include "score_labels.cuh"

/* A set per query head is more work for the last block than one per KV head: it pays with work for all multiprocessors. */
static bool isOneLaunch(const ds_stream *stream, int Hk, int H, int S) {
  const int sets = stream->T * Hk;
  return ds::isOneBlock(stream, sets, S) && (H == Hk || sets >= 2 * stream->facts.multiprocessors);
}

ds_status ds_score_and_select(ds_stream *stream, ds_tensor *indices, ds_tensor *counts, ds_tensor *tail_mass, ds_tensor *scores,
                              ds_tensor *exponents, ds_tensor *maxima, ds_tensor *heavy_tokens, int32_t sink_tokens,
                              int32_t recent_tokens, ds_tensor *qkv, int32_t wide, int32_t narrow, ds_tensor *words,
                              ds_tensor *channels, ds_tensor *step) {
  using namespace ds;
  const int head_dim = static_cast<int>(columnsOf(qkv));
  if (!isOneLaunch(stream, static_cast<int>(words->shape[1]), static_cast<int>(indices->shape[1]),
                   static_cast<int>(scores->shape[2]))) {
    const ds_status status = ds_score_labels(stream, scores, exponents, maxima, qkv, wide, narrow, words, channels, step);
    return status != DS_OK ? status
                           : ds_select_tokens(stream, indices, counts, tail_mass, scores, exponents, maxima, heavy_tokens, head_dim,
                                              sink_tokens, recent_tokens);
  }
  return guarded([&] {
    const Selection selection = selectionOf(stream, true, indices, counts, tail_mass, scores, exponents, maxima, heavy_tokens,
                                            head_dim, sink_tokens, recent_tokens);
    launchScoring<true>(stream, scores, exponents, maxima, qkv, wide, narrow, words, channels, step, selection);
  });
}
