// The vector kernels of sums (simd/reduce.cpp), one table per instruction set.
#pragma once
#include <cstdint>

#include "ops_cpu/isa.h"

namespace limbeck {

struct ReduceKernels {
  /// sum[c] = sum over rows of x [rows, columns], rows `pitch` floats apart.
  void (*column_sums)(const float* x, int64_t rows, int64_t columns, int64_t pitch, float* sum);
  /// The sum of n consecutive floats.
  float (*run_sum)(const float* x, int64_t n);
  /// sum[c] = sum over rows of x z, both [rows, n].
  void (*column_dots)(const float* x, const float* z, int64_t rows, int64_t n, float* sum);
};

LIMBECK_SIMD_TABLE(ReduceKernels, reduce_kernels)

}  // namespace limbeck
