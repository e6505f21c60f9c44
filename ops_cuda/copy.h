// Fills and type conversions of device memory, for the backend.
#pragma once
#include "ops_cuda/runtime.h"

namespace limbeck::cuda {

void fill_elements(void* to, DType dtype, int64_t count, double value, cudaStream_t stream);
void convert_elements(void* to, DType to_type, const void* from, DType from_type, int64_t count,
                      cudaStream_t stream);

}  // namespace limbeck::cuda
