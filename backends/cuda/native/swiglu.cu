#include "stream.cuh"

namespace ds {

constexpr int THREADS = 256;

/* out [R, F] = silu(gateUp[r, f]) · gateUp[r, F + f]. */
static __global__ void swiglu(float *out, const float *gateUp, int64_t F) {
  const int64_t f = int64_t{blockIdx.x} * THREADS + threadIdx.x;
  if (f >= F) return;
  const float *row = gateUp + blockIdx.y * 2 * F;
  const float gate = row[f];
  out[blockIdx.y * F + f] = gate / (1 + expf(-gate)) * row[F + f];
}

}  // namespace ds

ds_status ds_swiglu(ds_stream *stream, ds_tensor *out, ds_tensor *gate_up) {
  using namespace ds;
  return guarded([&] {
    const int64_t F = columnsOf(out);
    const int64_t R = valuesOf(out) / F;
    launch(stream, {dim3(divideUp<int64_t>(F, THREADS), R), THREADS}, swiglu, dataOf<float>(out), dataOf<float>(gate_up), F);
  });
}
