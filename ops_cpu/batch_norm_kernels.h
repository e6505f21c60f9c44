// The vector kernels of batch normalisation (simd/batch_norm.cpp), one table per instruction set.
// All see a flat run of n floats whose parameters repeat every `period` floats; period is a
// multiple of `width`. A channels-last matrix [rows, C] is such a run with period C, or, when the
// vector width does not divide C, with the parameters of several rows laid end to end.
#pragma once
#include <cstdint>

#include "ops_cpu/isa.h"

namespace limbeck {

/// Which elements of dy the fused ReLU lets through.
enum class Mask {
  none,    ///< all
  from_y,  ///< y > 0
  from_x,  ///< (x - mean) scale + beta > 0, recomputed with the forward's own arithmetic
};

struct BatchNormRun {
  const float* x;
  int64_t n, period;
  const float* mean;   ///< [period], as all parameters
  const float* scale;  ///< gamma * invstd
  const float* beta;
  bool relu;              ///< apply only
  const float* residual;  ///< apply only: as x, or null
  float* y;               ///< apply writes it; gradients read it with Mask::from_y
  Mask mask;              ///< gradients only
  const float* dy;
  float* dresidual;     ///< reduce writes the masked dy here when given
  const float* slope;   ///< gradient only: [period]
  const float* offset;  ///< gradient only: [period]
  float* dx;
};

struct BatchNormKernels {
  int64_t width;  ///< floats per vector
  /// sum[p] = sum of x - mean, square[p] = sum of (x - mean)^2 over the elements of place p in the
  /// period (mean: any shift). Returns whether each shift is near enough to its elements: otherwise
  /// a variance is a small difference of large sums.
  bool (*statistics)(const BatchNormRun&, float* sum, float* square);
  /// y = act((x - mean) scale + beta + residual)
  void (*apply)(const BatchNormRun&);
  /// g = dy masked; dresidual = g; sum_g[p] = sum of g, sum_gx[p] = sum of g (x - mean).
  void (*reduce)(const BatchNormRun&, float* sum_g, float* sum_gx);
  /// dx = scale g - (x - mean) slope - offset
  void (*gradient)(const BatchNormRun&);
};

LIMBECK_SIMD_TABLE(BatchNormKernels, batch_norm_kernels)

}  // namespace limbeck
