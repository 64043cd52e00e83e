#include "stream.cuh"
#include "weights.cuh"

namespace ds {

constexpr int THREADS = 256;

/* Row t of out [T, D] = row tokens[t] of table [V, D], whose rows are `rowBytes` long. */
template <class W>
static __global__ void embed(float *out, const uint8_t *table, const Row *rows, int64_t D, int64_t rowBytes) {
  const int64_t i = int64_t{blockIdx.y} * THREADS + threadIdx.x;
  if (i >= D) return;
  const uint8_t *row = table + rows[blockIdx.x].x * rowBytes;
  out[blockIdx.x * D + i] = Weights<W>::value(row, i);
}

}  // namespace ds

ds_status ds_embed(ds_stream *stream, ds_tensor *out, ds_tensor *table) {
  using namespace ds;
  return guarded([&] {
    const int64_t D = columnsOf(table);
    withWeightType(table->dtype, "a table", [&](auto type) {
      using W = decltype(type);
      launch(stream, {dim3(stream->T, divideUp<int64_t>(D, THREADS)), THREADS}, embed<W>, dataOf<float>(out),
             dataOf<const uint8_t>(table), stream->rows, D, table->bytes / table->shape[0]);
    });
  });
}
