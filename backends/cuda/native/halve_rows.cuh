/* Rows of x in the type that the tensor cores multiply weights in. */
#pragma once

#include "stream.cuh"

namespace ds {

/* [R, width], f16, or bf16 for weights of bf16; row r times scales[r] is that of x. Without scales that is 1. */
struct HalfRows {
  const void *values;
  const float *scales;
  int64_t width;
};

/* Columns are multiples of this; what x does not have of them is 0. */
constexpr int HALF_COLUMNS = 32;

/*
 * x [R, I] for weights of `dtype`, in working memory that is good until the next call; columns in the order of the units of the
 * weights' type. f16 rounds to 11 bits and reaches from 2^-14 to 65504: a row whose largest value leaves that too little room is
 * scaled by a power of two. bf16 rounds to 8 bits, and reaches as far as f32. Throws Failure.
 */
HalfRows halveRows(ds_stream *stream, int32_t dtype, const float *x, int64_t R, int64_t I);

}  // namespace ds
