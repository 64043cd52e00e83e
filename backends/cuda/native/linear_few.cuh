/* Products of weights with few rows of x, each weight read once for up to 32 of them. */
#pragma once

#include "stream.cuh"

namespace ds {

/* Most rows of x to a tile. */
constexpr int FEW_ROWS = 32;

/*
 * Without tiles: out[r, column + n] = Σ_i x[r, i]·weight[n, i] (+ bias[n]), r below R. With them, tile t = {expert, first, count, unused}
 * is about the pairs p = pairs[first] to pairs[first + count - 1], at most `tileRows` of them and perhaps none:
 * out[p, column + n] = weight[expert]·x[p / divisor].
 */
struct FewRowsProduct {
  float *out;
  const float *x;
  const uint8_t *weight;
  const float *bias;
  const int4 *tiles;
  const int *pairs;
  /* Values from one row of out to the next. */
  int64_t stride;
  int64_t column;
  int R, N, I, divisor;
};

/* Whether rows of I weights of a type can be multiplied here: they are aligned for vector loads. */
bool isForFewRows(int32_t dtype, int64_t I);

/* Rows of a tile, so that one with `rows` of them is not mostly empty. */
int tileRowsFor(int64_t rows);

/* Enqueues it: `tiles` of up to `tileRows` rows, as tileRowsFor gave it. Throws Failure. */
void multiplyFewRows(ds_stream *stream, int32_t dtype, const FewRowsProduct &product, int tiles, int tileRows);

}  // namespace ds
