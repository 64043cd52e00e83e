/* Packed weights as f16, where so many rows of x meet them that unpacking them once for all pays. */
#pragma once

#include "stream.cuh"

namespace ds {

/* f16 [N, I] of packed weights [N, I], columns in the order of their units, in working memory that is good until the next call. */
const uint8_t *unpackWeights(ds_stream *stream, int32_t dtype, const uint8_t *weight, int64_t N, int64_t I);

}  // namespace ds
