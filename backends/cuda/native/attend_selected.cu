#include "attend_launch.cuh"
#include "attend_rows.cuh"

namespace ds {

/* Of a share: fewer do not pay for putting the shares together. */
constexpr int LEAST_SELECTED = 128;

template <class T, int D>
static void attendSelectedRows(ds_stream *stream, Attention &a) {
  splitTokens(stream, a, splittingOf(a, a.K, LEAST_SELECTED));
  const Grid grid{blocksOf(a), rows::THREADS, size_t{rows::WARPS} * rows::Ring<T, D>::BYTES};
  launch(stream, grid, rows::attendRows<T, D, true>, a);
}

}  // namespace ds

ds_status ds_attend_selected(ds_stream *stream, ds_tensor *out, ds_tensor *qkv, ds_tensor *kv, ds_tensor *indices, ds_tensor *counts,
                             float scale, ds_tensor *staging, ds_tensor *tail_mass, ds_tensor *scores, ds_tensor *exponents,
                             ds_tensor *maxima, ds_tensor *value_sums, int32_t sink_tokens, int32_t recent_tokens) {
  using namespace ds;
  return guarded([&] {
    Attention a = attentionOf(stream, out, qkv, kv, indices->shape[1], scale);
    a.indices = dataOf<const int>(indices);
    a.counts = dataOf<const int>(counts);
    a.K = indices->shape[2];
    a.staging = dataOf<const void>(staging);
    if (tail_mass != nullptr) {
      a.tailMass = dataOf<const float>(tail_mass);
      a.scores = dataOf<const int>(scores);
      a.exponents = dataOf<const int>(exponents);
      a.maxima = dataOf<const int>(maxima);
      a.valueSums = dataOf<const float>(value_sums);
      a.entries = value_sums->shape[2];
      a.sinkTokens = sink_tokens;
      a.recentTokens = recent_tokens;
    }
    if (!isForTensorCores(kv)) {
      attendPlainly(stream, a, kv->dtype, a.K);
    } else if (kv->dtype == DS_F16) {
      a.d > 64 ? attendSelectedRows<Half, 128>(stream, a) : attendSelectedRows<Half, 64>(stream, a);
    } else {
      a.d > 64 ? attendSelectedRows<Brain, 128>(stream, a) : attendSelectedRows<Brain, 64>(stream, a);
    }
  });
}
