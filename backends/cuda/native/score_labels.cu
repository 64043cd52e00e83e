#include "score_labels.cuh"

ds_status ds_score_labels(ds_stream *stream, ds_tensor *scores, ds_tensor *exponents, ds_tensor *maxima, ds_tensor *qkv,
                          int32_t wide, int32_t narrow, ds_tensor *words, ds_tensor *channels, ds_tensor *step) {
  using namespace ds;
  return guarded(
      [&] { launchScoring<false>(stream, scores, exponents, maxima, qkv, wide, narrow, words, channels, step, Selection{}); });
}
