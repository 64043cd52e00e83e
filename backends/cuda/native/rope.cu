#include "stream.cuh"

namespace ds {

constexpr int THREADS = 64;

/*
 * Norms and rotates one head of one row of qkv [T, heads, d] in place, pairs (c, c + d/2) by table [positions, 2, d/2]. Heads below
 * `queries` take `queryNorm`, the others `keyNorm`; null: no norm.
 */
static __global__ void rope(float *qkv, const float *table, const Row *rows, int heads, int queries, int d, const float *queryNorm,
                            const float *keyNorm, float epsilon) {
  __shared__ float sums[WARP];
  const int half = d / 2;
  float *x = qkv + (int64_t{blockIdx.x} * heads + blockIdx.y) * d;
  const float *turn = table + int64_t{rows[blockIdx.x].z} * d;
  const float *weight = static_cast<int>(blockIdx.y) < queries ? queryNorm : keyNorm;
  float inverse = 1;
  if (weight != nullptr) {
    float sum = 0;
    for (int c = threadIdx.x; c < d; c += THREADS) sum += x[c] * x[c];
    inverse = 1 / sqrtf(blockSum(sum, sums) / d + epsilon);
  }
  for (int c = threadIdx.x; c < half; c += THREADS) {
    const float a = weight == nullptr ? x[c] : x[c] * inverse * weight[c];
    const float b = weight == nullptr ? x[half + c] : x[half + c] * inverse * weight[half + c];
    x[c] = a * turn[c] - b * turn[half + c];
    x[half + c] = b * turn[c] + a * turn[half + c];
  }
}

}  // namespace ds

ds_status ds_rope(ds_stream *stream, ds_tensor *qkv, ds_tensor *table, int32_t heads, int32_t kv_heads, ds_tensor *query_norm,
                  ds_tensor *key_norm, float epsilon) {
  using namespace ds;
  return guarded([&] {
    launch(stream, {dim3(qkv->shape[0], heads + kv_heads), THREADS}, rope, dataOf<float>(qkv), dataOf<const float>(table),
           stream->rows, qkv->shape[1], heads, qkv->shape[2], dataOf<const float>(query_norm), dataOf<const float>(key_norm), epsilon);
  });
}
