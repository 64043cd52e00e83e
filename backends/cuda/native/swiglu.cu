#include "stream.cuh"

namespace ds {

constexpr int THREADS = 256;

/* out [R, F] = silu(gateUp[r, f]) · gateUp[r, F + f]. */
static __global__ void swiglu(float *out, const float *gateUp, int64_t F) {
  const int64_t f = int64_t{blockIdx.y} * THREADS + threadIdx.x;
  if (f >= F) return;
  const float *row = gateUp + blockIdx.x * 2 * F;
  const float gate = row[f];
  out[blockIdx.x * F + f] = gate / (1 + expf(-gate)) * row[F + f];
}

}  // namespace ds

ds_status ds_swiglu(ds_stream *stream, ds_tensor *out, ds_tensor *gate_up) {
  using namespace ds;
  return guarded([&] {
    const int64_t F = columnsOf(out);
    const int64_t R = valuesOf(out) / F;
    launch(stream, {dim3(R, divideUp<int64_t>(F, THREADS)), THREADS}, swiglu, dataOf<float>(out), dataOf<float>(gate_up), F);
  });
}
