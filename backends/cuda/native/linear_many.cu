#include "linear_many.cuh"

#include <type_traits>

#include "async_copy.cuh"
#include "mma.cuh"
#include "weights.cuh"

namespace ds {

/* Columns of a step, in pieces of 16 bytes, and steps whose tiles lie in shared memory. */
constexpr int COLUMNS = HALF_COLUMNS, PIECES = COLUMNS / 8, STAGES = 3;
/* Rows of weights of a warp. */
constexpr int WARP_COLUMNS = 32;

/* Of a block, by the rows of its tiles; two tiles make a stage. */
template <int SIDE>
constexpr int THREADS = 2 * SIDE;
template <int SIDE>
constexpr int STAGE_BYTES = 2 * SIDE * COLUMNS * 2;

/* Packed weights as halves in shared memory: those of step s, from all threads of a block, by way of their registers. */
template <class W, int SIDE>
struct Unpacking {
  using Type = Weights<W>;
  static constexpr int EACH = COLUMNS / Type::UNIT, COUNT = SIDE * EACH / THREADS<SIDE>;
  typename Type::Raw raw[COUNT] = {};

  __device__ void load(const uint8_t *weight, int64_t bytes, int firstRow, int N, int s) {
#pragma unroll
    for (int k = 0; k < COUNT; k++) {
      const int at = threadIdx.x + k * THREADS<SIDE>;
      raw[k] = Type::load(weight + min(firstRow + at / EACH, N - 1) * bytes, s * EACH + at % EACH);
    }
  }
  __device__ void store(uint4 *tile) const {
#pragma unroll
    for (int k = 0; k < COUNT; k++) {
      float values[Type::UNIT];
      Type::decode(raw[k], values);
      storeHalves(tile + (threadIdx.x + k * THREADS<SIDE>) * (Type::UNIT / 8), values);
    }
  }
};

/* Rows `firstRow` and on of a matrix of halves to a tile, columns of step s; 0 beyond `rows` and `columns`. */
template <int SIDE>
__device__ inline void copyTile(uint4 *tile, const void *matrix, int64_t width, int firstRow, int rows, int columns, int s) {
#pragma unroll
  for (int k = 0; k < SIDE * PIECES / THREADS<SIDE>; k++) {
    const int at = threadIdx.x + k * THREADS<SIDE>;
    const int row = firstRow + at / PIECES, column = s * COLUMNS + at % PIECES * 8;
    const bool isThere = row < rows && column < columns;
    const auto *from = static_cast<const uint16_t *>(matrix) + (isThere ? row * width + column : 0);
    copyAsync(tile + at, from, isThere);
  }
}

/*
 * A block's tile is SIDE rows of x by SIDE rows of weights; of a warp half the former and WARP_COLUMNS of the latter. A row of a tile
 * is 4 pieces of 8 columns: lane l of a warp takes piece l % 4 of each row it needs whole, which gives the tensor cores the columns
 * in an order of our own, the same for both factors, and meets no bank of shared memory twice.
 */
template <class W, int SIDE>
static __global__ void __launch_bounds__(THREADS<SIDE>) multiplyMany(ManyRowsProduct product) {
  constexpr bool IS_PACKED = Weights<W>::BLOCK > 1;
  using T = std::conditional_t<std::is_same_v<W, Brain>, Brain, Half>;
  constexpr int TALL = SIDE / 32, WIDE = WARP_COLUMNS / 8;
  auto *shared = reinterpret_cast<uint4 *>(dynamicShared());
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  const int N = product.N, R = product.R;
  const int firstRow = blockIdx.x * SIDE, firstColumn = blockIdx.y * SIDE;
  const int64_t bytes = rowBytes<W>(product.I);
  const int steps = product.x.width / COLUMNS;

  Unpacking<std::conditional_t<IS_PACKED, W, Q8_0>, SIDE> unpacking;
  const auto tilesOf = [&](int s) { return shared + s % STAGES * (STAGE_BYTES<SIDE> / 16); };
  const auto copyTiles = [&](int s) {
    copyTile<SIDE>(tilesOf(s), product.x.values, product.x.width, firstRow, R, product.x.width, s);
    if (!IS_PACKED) copyTile<SIDE>(tilesOf(s) + SIDE * PIECES, product.weight, product.I, firstColumn, N, product.I, s);
  };
  for (int s = 0; s < STAGES - 1; s++) {
    if (s < steps) {
      copyTiles(s);
      if (IS_PACKED) {
        unpacking.load(product.weight, bytes, firstColumn, N, s);
        unpacking.store(tilesOf(s) + SIDE * PIECES);
      }
    }
    commitCopies();
  }

  float sums[TALL][WIDE][4] = {};
  for (int s = 0; s < steps; s++) {
    awaitCopies<STAGES - 2>();
    __syncthreads();
    const int next = s + STAGES - 1;
    if (next < steps) {
      copyTiles(next);
      if (IS_PACKED) unpacking.load(product.weight, bytes, firstColumn, N, next);
    }
    commitCopies();
    const uint4 *x = tilesOf(s) + (warp % 2 * (SIDE / 2) + lane / 4) * PIECES + lane % 4;
    const uint4 *weights = tilesOf(s) + (SIDE + warp / 2 * WARP_COLUMNS + lane / 4) * PIECES + lane % 4;
    uint4 right[WIDE];
#pragma unroll
    for (int n = 0; n < WIDE; n++) right[n] = weights[8 * n * PIECES];
#pragma unroll
    for (int m = 0; m < TALL; m++) {
      const uint4 upper = x[16 * m * PIECES], lower = x[(16 * m + 8) * PIECES];
      const unsigned left[2][4] = {{upper.x, lower.x, upper.y, lower.y}, {upper.z, lower.z, upper.w, lower.w}};
#pragma unroll
      for (int n = 0; n < WIDE; n++) {
        multiplyTiles<T>(sums[m][n], left[0], {right[n].x, right[n].y});
        multiplyTiles<T>(sums[m][n], left[1], {right[n].z, right[n].w});
      }
    }
    if (IS_PACKED && next < steps) unpacking.store(tilesOf(next) + SIDE * PIECES);
  }

#pragma unroll
  for (int m = 0; m < TALL; m++) {
    for (int half = 0; half < 2; half++) {
      const int r = firstRow + warp % 2 * (SIDE / 2) + 16 * m + 8 * half + lane / 4;
      if (r >= R) continue;
      const float scale = product.x.scales == nullptr ? 1.0f : product.x.scales[r];
      float *out = product.out + r * product.stride + product.column;
#pragma unroll
      for (int n = 0; n < WIDE; n++) {
        for (int i = 0; i < 2; i++) {
          const int to = firstColumn + warp / 2 * WARP_COLUMNS + 8 * n + lane % 4 * 2 + i;
          if (to >= N) continue;
          const float sum = sums[m][n][2 * half + i] * scale;
          out[to] = product.bias == nullptr ? sum : sum + product.bias[to];
        }
      }
    }
  }
}

void multiplyManyRows(ds_stream *stream, int32_t dtype, const ManyRowsProduct &product) {
  withWeightType(dtype, "weights", [&](auto type) {
    using W = decltype(type);
    if constexpr (std::is_same_v<W, float>) {
      invalid("Cannot multiply weights of f32 as halves");
    } else {
      const auto spread = [&](int side) { return dim3(divideUp(product.R, side), divideUp(product.N, side)); };
      const dim3 large = spread(128);
      /* Smaller tiles where larger ones would leave multiprocessors idle, and for packed weights, of which fewer rows come here. */
      if constexpr (Weights<W>::BLOCK == 1) {
        if (int64_t{large.x} * large.y >= stream->facts.multiprocessors) {
          return launch(stream, {large, THREADS<128>, STAGES * STAGE_BYTES<128>}, multiplyMany<W, 128>, product);
        }
      }
      launch(stream, {spread(64), THREADS<64>, STAGES * STAGE_BYTES<64>}, multiplyMany<W, 64>, product);
    }
  });
}

}  // namespace ds
