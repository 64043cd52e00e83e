#include <algorithm>

#include "linear_few.cuh"
#include "linear_many.cuh"
#include "linear_one.cuh"
#include "prefill_gemm.cuh"
#include "unpack_weights.cuh"

namespace ds {

/* From more rows on it pays to round x to halves. */
constexpr int FEW_MOST = 64;

/* Rows of x that repay packed weights being unpacked ahead, and how much of them is unpacked at a time. */
constexpr int UNPACK_LEAST = 256;
constexpr int64_t UNPACK_BYTES = 256 << 20;

static void multiplyHalves(ds_stream *stream, int32_t dtype, const ManyRowsProduct &product) {
  if (!multiplyByCublasLt(stream, dtype, product)) multiplyManyRows(stream, dtype, product);
}

/* As many rows of weights after each other as there is room for. */
static void multiplyUnpacked(ds_stream *stream, int32_t dtype, const ManyRowsProduct &product, int64_t rowBytes) {
  const int most = std::max<int64_t>(UNPACK_BYTES / (2 * product.I), 1);
  for (int first = 0; first < product.N; first += most) {
    ManyRowsProduct some = product;
    some.N = std::min(most, product.N - first);
    some.column = product.column + first;
    some.bias = product.bias == nullptr ? nullptr : product.bias + first;
    some.weight = unpackWeights(stream, dtype, product.weight + first * rowBytes, some.N, some.I);
    multiplyHalves(stream, DS_F16, some);
  }
}

}  // namespace ds

ds_status ds_linear(ds_stream *stream, ds_tensor *out, ds_tensor *x, ds_tensor *weight, ds_tensor *bias, int64_t column) {
  using namespace ds;
  return guarded([&] {
    const int R = x->shape[0], N = weight->shape[0], I = weight->shape[1];
    const int64_t stride = valuesOf(out) / R;
    const auto *matrix = dataOf<const uint8_t>(weight);
    const auto *rows = dataOf<const float>(x), *biases = dataOf<const float>(bias);
    const int32_t dtype = weight->dtype;
    if (R == 1 || !isForFewRows(dtype, I)) {
      OneRowProduct product{};
      product.out = dataOf<float>(out), product.x = rows, product.weight = matrix, product.bias = biases;
      product.stride = stride, product.column = column;
      product.outputs = R, product.choices = 1, product.N = N, product.I = I;
      return multiplyOneRow(stream, dtype, product);
    }
    if (R <= FEW_MOST || dtype == DS_F32) {
      FewRowsProduct product{};
      product.out = dataOf<float>(out), product.x = rows, product.weight = matrix, product.bias = biases;
      product.stride = stride, product.column = column;
      product.R = R, product.N = N, product.I = I;
      const int tileRows = tileRowsFor(R);
      return multiplyFewRows(stream, dtype, product, divideUp(R, tileRows), tileRows);
    }
    const HalfRows halves = halveRows(stream, dtype, rows, R, I);
    const ManyRowsProduct product{dataOf<float>(out), halves, matrix, biases, stride, column, R, N, I};
    if (dtype < DS_Q8_0) return multiplyHalves(stream, dtype, product);
    if (R >= UNPACK_LEAST) return multiplyUnpacked(stream, dtype, product, weight->bytes / N);
    multiplyManyRows(stream, dtype, product);
  });
}
