// The bias that a library's product does not add.
#pragma once
#include "ops_cuda/runtime.h"

namespace limbeck::cuda {

/// y[r, c] += bias[c] for y [rows, channels], f32 or bf16; bias is f32. (bf16: y was rounded before
/// and is rounded again.)
void add_row_bias(const Tensor& y, int64_t rows, int64_t channels, const float* bias);

}  // namespace limbeck::cuda
