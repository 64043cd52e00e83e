#include "linear_few.cuh"

#include "mma.cuh"
#include "weights.cuh"

namespace ds {

constexpr int WARPS = 8;
/* Warps that keep a multiprocessor's loads in flight. */
constexpr int WARPS_WANTED = 16;
/* Rows of weights of a warp, and rows of x of one product of the tensor cores. */
constexpr int HEIGHT = 16, WIDTH = 8;
/* Steps whose weights a lane loads before it uses the first. */
template <class W>
constexpr int DEPTH = Weights<W>::QUADS == 2 ? 2 : 1;

/* Whether tf32 holds a weight as it is. */
template <class W>
constexpr bool IS_SHORT = false;
template <>
constexpr bool IS_SHORT<Half> = true;
template <>
constexpr bool IS_SHORT<Brain> = true;

/*
 * A block's warps take HEIGHT rows of weights for every `parts` of them, which share the columns in steps of 4 units; its rows of x
 * are those of tile blockIdx.y, in PIECES of WIDTH. A tensor core sums over columns in any order: lane l takes unit l % 4 of a step, of
 * weight rows l / 4 and l / 4 + 8 and of row l / 4 of each piece of x. The products are those of f32 but for 2^-21 of each: a factor is
 * the sum of two tf32, and only the product of the lower parts is left out. The tensor cores cut off what they add, so their sums are
 * kept short.
 */
template <class W, int PIECES>
static __global__ void __launch_bounds__(WARPS *WARP, 2) multiplyFew(FewRowsProduct product, int parts) {
  using Type = Weights<W>;
  __shared__ float shared[WARPS][PIECES * WIDTH][HEIGHT];
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  const int N = product.N, I = product.I;
  const int64_t bytes = rowBytes<W>(I);

  const uint8_t *weight = product.weight;
  const int *pairs = nullptr;
  int firstRow = blockIdx.y * PIECES * WIDTH;
  int count = min(product.R - firstRow, PIECES * WIDTH);
  if (product.tiles != nullptr) {
    const int4 tile = product.tiles[blockIdx.y];
    if (tile.z == 0) return;
    weight += int64_t{tile.x} * N * bytes;
    pairs = product.pairs + tile.y;
    count = tile.z;
  }

  const int firstOfBlock = blockIdx.x * (WARPS / parts) * HEIGHT;
  const int first = firstOfBlock + warp / parts * HEIGHT;
  const uint8_t *rows[2];
  for (int j = 0; j < 2; j++) rows[j] = weight + min(first + lane / 4 + 8 * j, N - 1) * bytes;
  const float *xs[PIECES];
  for (int t = 0; t < PIECES; t++) {
    /* Rows that are not there give columns of the product that nobody asks for. */
    const int row = WIDTH * t + lane / 4;
    const int known = row < count ? row : 0;
    xs[t] = product.x + int64_t{pairs == nullptr ? firstRow + known : pairs[known] / product.divisor} * I;
  }

  const int units = I / Type::UNIT, steps = divideUp(units, 4);
  float sums[PIECES][4] = {};
  for (int s = warp % parts; s < steps; s += DEPTH<W> * parts) {
    typename Type::Raw raw[DEPTH<W>][2];
#pragma unroll
    for (int k = 0; k < DEPTH<W>; k++) {
      const int u = min(4 * (s + k * parts) + lane % 4, units - 1);
      raw[k][0] = Type::load(rows[0], u);
      raw[k][1] = Type::load(rows[1], u);
    }
#pragma unroll
    for (int k = 0; k < DEPTH<W>; k++) {
      const int u = 4 * (s + k * parts) + lane % 4;
      float values[2][Type::UNIT];
      Type::decode(raw[k][0], values[0]);
      Type::decode(raw[k][1], values[1]);
      float stepSums[PIECES][4] = {};
#pragma unroll
      for (int q = 0; q < Type::QUADS; q++) {
        /* Before any branch, or they would not all be under way at once: beyond the last unit x is 0. */
        float4 quads[PIECES];
#pragma unroll
        for (int t = 0; t < PIECES; t++) {
          quads[t] = make_float4(0, 0, 0, 0);
          if (u < units && WIDTH * t < count) quads[t] = __ldg(reinterpret_cast<const float4 *>(xs[t] + Type::column(u, q)));
        }
        float heads[2][4], tails[2][4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
          for (int j = 0; j < 2; j++) {
            const float value = values[j][4 * q + i];
            const Split parted = IS_SHORT<W> ? Split{value, 0} : split(value);
            heads[i / 2][i % 2 * 2 + j] = parted.head;
            tails[i / 2][i % 2 * 2 + j] = parted.tail;
          }
        }
#pragma unroll
        for (int t = 0; t < PIECES; t++) {
          if (t > 0 && WIDTH * t >= count) break;
          const Split x[4] = {split(quads[t].x), split(quads[t].y), split(quads[t].z), split(quads[t].w)};
#pragma unroll
          for (int h = 0; h < 2; h++) {
            const float head[2] = {x[2 * h].head, x[2 * h + 1].head};
            const float tail[2] = {x[2 * h].tail, x[2 * h + 1].tail};
            multiplyTiles(stepSums[t], heads[h], tail);
            if (!IS_SHORT<W>) multiplyTiles(stepSums[t], tails[h], head);
            multiplyTiles(stepSums[t], heads[h], head);
          }
        }
      }
#pragma unroll
      for (int t = 0; t < PIECES; t++) {
#pragma unroll
        for (int i = 0; i < 4; i++) sums[t][i] += stepSums[t][i];
      }
    }
  }

#pragma unroll
  for (int t = 0; t < PIECES; t++) {
    for (int i = 0; i < 4; i++) shared[warp][WIDTH * t + lane % 4 * 2 + i % 2][lane / 4 + i / 2 * 8] = sums[t][i];
  }
  __syncthreads();
  const int width = WARPS / parts * HEIGHT;
  for (int at = threadIdx.x; at < count * width; at += WARPS * WARP) {
    const int row = at / width, k = at % width;
    const int n = firstOfBlock + k;
    if (n >= N) continue;
    float sum = 0;
    for (int part = 0; part < parts; part++) sum += shared[k / HEIGHT * parts + part][row][k % HEIGHT];
    if (product.bias != nullptr) sum += product.bias[n];
    const int64_t to = pairs == nullptr ? firstRow + row : pairs[row];
    product.out[to * product.stride + product.column + n] = sum;
  }
}

bool isForFewRows(int32_t dtype, int64_t I) { return I % 8 == 0 || dtype >= DS_Q8_0; }

int tileRowsFor(int64_t rows) { return rows <= WIDTH ? WIDTH : FEW_ROWS; }

void multiplyFewRows(ds_stream *stream, int32_t dtype, const FewRowsProduct &product, int tiles, int tileRows) {
  const int64_t groups = int64_t{divideUp(product.N, HEIGHT)} * tiles;
  const int64_t wanted = int64_t{stream->facts.multiprocessors} * WARPS_WANTED;
  withWeightType(dtype, "weights", [&](auto type) {
    using W = decltype(type);
    const int steps = divideUp(product.I, 4 * Weights<W>::UNIT);
    int parts = 1;
    while (parts < WARPS && groups * parts < wanted && steps > parts * DEPTH<W>) parts *= 2;
    const dim3 blocks(divideUp(product.N, WARPS / parts * HEIGHT), tiles);
    const auto kernel = tileRows == WIDTH ? multiplyFew<W, 1> : multiplyFew<W, FEW_ROWS / WIDTH>;
    launch(stream, {blocks, WARPS * WARP}, kernel, product, parts);
  });
}

}  // namespace ds
