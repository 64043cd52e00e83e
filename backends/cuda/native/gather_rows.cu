#include "stream.cuh"

namespace ds {

constexpr int THREADS = 256;
/* Values a thread moves, all on their way before the first arrives: what fills the memory's pipeline with few threads. */
constexpr int EACH = 4;

/* Row r of out = row indices[r] of x, rows of `columns` values of type V, in `pieces` blocks. */
template <class V>
static __global__ void gatherRows(V *out, const V *x, const int *indices, int64_t columns, int pieces) {
  const int64_t r = blockIdx.x / pieces;
  const int64_t first = int64_t{blockIdx.x % pieces} * THREADS * EACH + threadIdx.x;
  const V *from = x + indices[r] * columns;
  V held[EACH];
#pragma unroll
  for (int i = 0; i < EACH; i++) {
    if (first + i * THREADS < columns) held[i] = from[first + i * THREADS];
  }
#pragma unroll
  for (int i = 0; i < EACH; i++) {
    if (first + i * THREADS < columns) out[r * columns + first + i * THREADS] = held[i];
  }
}

template <class V>
static void gather(ds_stream *stream, ds_tensor *out, ds_tensor *x, ds_tensor *indices) {
  const int64_t columns = valuesOf(x) / x->shape[0] * sizeof(float) / sizeof(V);
  const int64_t pieces = divideUp<int64_t>(columns, THREADS * EACH);
  launch(stream, {dim3(indices->shape[0] * pieces), THREADS}, gatherRows<V>, dataOf<V>(out), dataOf<const V>(x),
         dataOf<const int>(indices), columns, pieces);
}

}  // namespace ds

ds_status ds_gather_rows(ds_stream *stream, ds_tensor *out, ds_tensor *x, ds_tensor *indices) {
  using namespace ds;
  return guarded([&] {
    if (valuesOf(x) / x->shape[0] % 4 == 0) gather<float4>(stream, out, x, indices);
    else gather<float>(stream, out, x, indices);
  });
}
