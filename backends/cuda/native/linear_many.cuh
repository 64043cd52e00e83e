/* Products of weights with many rows of x. */
#pragma once

#include "halve_rows.cuh"

namespace ds {

/* out[r, column + n] = Σ_i x[r, i]·weight[n, i] (+ bias[n]), r below R; x as halveRows gave it for the weights' type. */
struct ManyRowsProduct {
  float *out;
  HalfRows x;
  const uint8_t *weight;
  const float *bias;
  /* Values from one row of out to the next. */
  int64_t stride;
  int64_t column;
  int R, N, I;
};

/* Enqueues it; weights of any type but f32. Throws Failure. */
void multiplyManyRows(ds_stream *stream, int32_t dtype, const ManyRowsProduct &product);

}  // namespace ds
