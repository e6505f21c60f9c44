// The vector kernel of dropout (simd/dropout.cpp), one table per instruction set.
#pragma once
#include <cstdint>

#include "ops_cpu/isa.h"

namespace limbeck {

struct DropoutKernels {
  /// y[i] = u[i] >= p ? x[i] * scale : 0 for i < n, where u[i] is word i % 4 of Philox block
  /// `block` + i / 4 under `key`.
  void (*mask)(const float* x, float* y, int64_t n, uint64_t key, uint64_t block, float p,
               float scale);
};

LIMBECK_SIMD_TABLE(DropoutKernels, dropout_kernels)

}  // namespace limbeck
