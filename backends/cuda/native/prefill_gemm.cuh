/* Matrix products of many rows by cuBLASLt, where the machine has it. */
#pragma once

#include <cstdint>

#include "linear_many.cuh"

namespace ds {

/* Its version, or 0 where it was not found. */
int64_t cublasLtVersion();

/* Enqueues a product with weights of f16 or bf16, or returns false: it does not do this one. Throws Failure. */
bool multiplyByCublasLt(ds_stream *stream, int32_t dtype, const ManyRowsProduct &product);

}  // namespace ds
