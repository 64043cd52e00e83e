#include "group_pairs.cuh"
#include "linear_few.cuh"
#include "linear_one.cuh"

namespace ds {

constexpr int THREADS = 256;

/* out[r, n] = Σ_j mix[r, j]·shares[r, j, n]. */
static __global__ void mixShares(float *out, const float *shares, const float *mix, int64_t count, int N, int choices) {
  const int64_t i = int64_t{blockIdx.x} * THREADS + threadIdx.x;
  if (i >= count) return;
  const int64_t r = i / N, n = i % N;
  float sum = 0;
  for (int j = 0; j < choices; j++) sum = fmaf(mix[r * choices + j], shares[(r * choices + j) * N + n], sum);
  out[i] = sum;
}

/* An expert's weights read once for many rows that chose it. */
static void multiplyGrouped(ds_stream *stream, int32_t dtype, const OneRowProduct &product, int R, int E) {
  const int count = R * product.choices;
  const int tileRows = tileRowsFor(count / E);
  const Groups groups = groupPairs(stream, product.experts, count, E, tileRows);
  FewRowsProduct few{};
  few.out = product.mix == nullptr ? product.out : stream->scratchOf<float>("shares of experts", int64_t{count} * product.N);
  few.x = product.x, few.weight = product.weight;
  few.tiles = groups.tiles, few.pairs = groups.pairs;
  few.stride = product.N, few.N = product.N, few.I = product.I;
  few.divisor = product.isPerChoice ? 1 : product.choices;
  multiplyFewRows(stream, dtype, few, groups.most, tileRows);
  if (product.mix == nullptr) return;
  const int64_t values = int64_t{R} * product.N;
  launch(stream, {dim3(divideUp<int64_t>(values, THREADS)), THREADS}, mixShares, product.out, few.out, product.mix, values, product.N,
         product.choices);
}

}  // namespace ds

ds_status ds_linear_experts(ds_stream *stream, ds_tensor *out, ds_tensor *x, ds_tensor *weight, ds_tensor *experts, ds_tensor *mix) {
  using namespace ds;
  return guarded([&] {
    const int R = experts->shape[0], E = weight->shape[0];
    OneRowProduct product{};
    product.out = dataOf<float>(out), product.x = dataOf<const float>(x), product.weight = dataOf<const uint8_t>(weight);
    product.experts = dataOf<const int>(experts), product.mix = dataOf<const float>(mix);
    product.choices = experts->shape[1], product.N = weight->shape[1], product.I = weight->shape[2];
    product.stride = product.N;
    product.outputs = mix == nullptr ? R * product.choices : R;
    product.isPerChoice = x->rank == 3;
    /* Where experts are chosen twice and more on average, it pays to find out by whom. */
    if (R * product.choices >= 2 * E && isForFewRows(weight->dtype, product.I)) {
      return multiplyGrouped(stream, weight->dtype, product, R, E);
    }
    multiplyOneRow(stream, weight->dtype, product);
  });
}
