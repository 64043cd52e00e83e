#include "stream.cuh"

namespace ds {

/* out = x / √(mean x² + epsilon) · weight, a block per row of D; out may be x. */
static __global__ void rmsNorm(float *out, const float *x, const float *weight, int64_t D, float epsilon) {
  __shared__ float sums[WARP];
  const float *from = x + blockIdx.x * D;
  float *to = out + blockIdx.x * D;
  float sum = 0;
  for (int64_t i = threadIdx.x; i < D; i += blockDim.x) sum += from[i] * from[i];
  const float inverse = 1 / sqrtf(blockSum(sum, sums) / D + epsilon);
  for (int64_t i = threadIdx.x; i < D; i += blockDim.x) to[i] = from[i] * inverse * weight[i];
}

}  // namespace ds

ds_status ds_rms_norm(ds_stream *stream, ds_tensor *out, ds_tensor *x, ds_tensor *weight, float epsilon) {
  using namespace ds;
  return guarded([&] {
    const int64_t D = columnsOf(weight);
    const int64_t rows = valuesOf(x) / D;
    const unsigned threads = D >= 2048 ? 1024 : D >= 512 ? 256 : 64;
    launch(stream, {dim3(rows), threads}, rmsNorm, dataOf<float>(out), dataOf<float>(x), dataOf<float>(weight), D, epsilon);
  });
}
