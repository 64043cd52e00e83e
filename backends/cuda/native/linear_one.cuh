/* Products of weights with one row of x at a time: decode of one text, experts of few rows, and rows of odd lengths. */
#pragma once

#include "stream.cuh"

namespace ds {

/*
 * Without experts: out[o, column + n] = Σ_i x[o, i]·weight[n, i] (+ bias[n]), o below `outputs`. With them, choices of them for each row
 * of x: out[o, n] = weight[experts[o]]·x[o / choices]; with a mix as well, out[o, n] = Σ_j mix[o, j]·weight[experts[o, j]]·x[o].
 * x has a row for each choice where `isPerChoice`.
 */
struct OneRowProduct {
  float *out;
  const float *x;
  const uint8_t *weight;
  const float *bias;
  const int *experts;
  const float *mix;
  /* Values from one row of out to the next. */
  int64_t stride;
  int64_t column;
  int outputs, choices, N, I;
  bool isPerChoice;
};

/* Enqueues it. Throws Failure. */
void multiplyOneRow(ds_stream *stream, int32_t dtype, const OneRowProduct &product);

}  // namespace ds
