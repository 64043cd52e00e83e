#include "linear_one.cuh"

#include "weights.cuh"

namespace ds {

constexpr int WARPS = 8;
/* Warps that keep a multiprocessor's loads in flight. */
constexpr int WARPS_WANTED = 16;

/* Rows of weights of a warp: x is read once for all of them. */
template <class W>
constexpr int HEIGHT = Weights<W>::BLOCK == 1 ? 2 : 4;

/* Units of each row that a lane loads before it uses the first. */
template <class W>
constexpr int DEPTH = Weights<W>::QUADS == 2 ? 4 : 2;

/* sums[j] += factor·(what this lane has of row j times x): units first + lane, + step and so on. */
template <class W>
__device__ inline void addProducts(float (&sums)[HEIGHT<W>], const uint8_t *const (&rows)[HEIGHT<W>], const float *x, int I,
                                   int first, int step, float factor) {
  using Type = Weights<W>;
  if (I % Type::UNIT != 0) {
    for (int j = 0; j < HEIGHT<W>; j++) {
      float sum = 0;
      for (int i = first + threadIdx.x % WARP; i < I; i += step) sum = fmaf(Type::value(rows[j], i), x[i], sum);
      sums[j] = fmaf(factor, sum, sums[j]);
    }
    return;
  }
  const int units = I / Type::UNIT;
  float own[HEIGHT<W>] = {};
  /* No branch within, or the loads would not all be under way at once: beyond the last unit x is 0. */
  for (int base = first; base < units; base += DEPTH<W> * step) {
    const int u = base + threadIdx.x % WARP;
    typename Type::Raw raw[DEPTH<W>][HEIGHT<W>];
#pragma unroll
    for (int k = 0; k < DEPTH<W>; k++) {
#pragma unroll
      for (int j = 0; j < HEIGHT<W>; j++) raw[k][j] = Type::load(rows[j], min(u + k * step, units - 1));
    }
#pragma unroll
    for (int k = 0; k < DEPTH<W>; k++) {
      float4 quads[Type::QUADS];
#pragma unroll
      for (int q = 0; q < Type::QUADS; q++) {
        quads[q] = make_float4(0, 0, 0, 0);
        if (u + k * step < units) quads[q] = __ldg(reinterpret_cast<const float4 *>(x + Type::column(u + k * step, q)));
      }
#pragma unroll
      for (int j = 0; j < HEIGHT<W>; j++) {
        float values[Type::UNIT];
        Type::decode(raw[k][j], values);
#pragma unroll
        for (int q = 0; q < Type::QUADS; q++) {
          own[j] = fmaf(values[4 * q], quads[q].x, own[j]);
          own[j] = fmaf(values[4 * q + 1], quads[q].y, own[j]);
          own[j] = fmaf(values[4 * q + 2], quads[q].z, own[j]);
          own[j] = fmaf(values[4 * q + 3], quads[q].w, own[j]);
        }
      }
    }
  }
  for (int j = 0; j < HEIGHT<W>; j++) sums[j] = fmaf(factor, own[j], sums[j]);
}

/* HEIGHT rows of weights to every `parts` warps, which share their columns; `blocksEach` blocks to an output row. */
template <class W>
static __global__ void __launch_bounds__(WARPS *WARP, 2) multiplyRow(OneRowProduct product, int parts, int blocksEach) {
  __shared__ float shared[WARPS][HEIGHT<W>];
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  const int o = blockIdx.x / blocksEach;
  const int firstOfBlock = blockIdx.x % blocksEach * (WARPS / parts) * HEIGHT<W>;
  const int first = firstOfBlock + warp / parts * HEIGHT<W>;
  const int64_t bytes = rowBytes<W>(product.I);

  float sums[HEIGHT<W>] = {};
  const int terms = product.mix == nullptr ? 1 : product.choices;
  for (int j = 0; j < terms; j++) {
    const int choice = o * terms + j;
    const int64_t expert = product.experts == nullptr ? 0 : product.experts[choice];
    const int64_t row = product.isPerChoice || product.experts == nullptr ? choice : choice / product.choices;
    const uint8_t *rows[HEIGHT<W>];
    for (int k = 0; k < HEIGHT<W>; k++) {
      rows[k] = product.weight + (expert * product.N + min(first + k, product.N - 1)) * bytes;
    }
    const float factor = product.mix == nullptr ? 1.0f : product.mix[choice];
    addProducts<W>(sums, rows, product.x + row * product.I, product.I, warp % parts * WARP, parts * WARP, factor);
  }

  for (int k = 0; k < HEIGHT<W>; k++) {
    const float sum = warpSum(sums[k]);
    if (lane == 0) shared[warp][k] = sum;
  }
  __syncthreads();
  const int k = threadIdx.x;
  const int n = firstOfBlock + k;
  if (k >= WARPS / parts * HEIGHT<W> || n >= product.N) return;
  float sum = 0;
  for (int part = 0; part < parts; part++) sum += shared[k / HEIGHT<W> * parts + part][k % HEIGHT<W>];
  if (product.bias != nullptr) sum += product.bias[n];
  product.out[o * product.stride + product.column + n] = sum;
}

void multiplyOneRow(ds_stream *stream, int32_t dtype, const OneRowProduct &product) {
  withWeightType(dtype, "weights", [&](auto type) {
    using W = decltype(type);
    const int64_t groups = int64_t{divideUp(product.N, HEIGHT<W>)} * product.outputs;
    const int64_t wanted = int64_t{stream->facts.multiprocessors} * WARPS_WANTED;
    int parts = 1;
    while (parts < WARPS && groups * parts < wanted && product.I / Weights<W>::UNIT > parts * WARP) parts *= 2;
    const int blocksEach = divideUp(product.N, WARPS / parts * HEIGHT<W>);
    launch(stream, {dim3(blocksEach * product.outputs), WARPS * WARP}, multiplyRow<W>, product, parts, blocksEach);
  });
}

}  // namespace ds
