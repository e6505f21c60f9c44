// The vector kernels of group and l2 normalisation (simd/group_norm.cpp), one table per instruction
// set. Each treats one sample.
#pragma once
#include <cstdint>

#include "ops_cpu/isa.h"

namespace limbeck {

/// One sample x [pixels, groups, width]; gamma, beta [groups * width] or null.
struct GroupNormRun {
  const float* x;
  int64_t pixels, groups, width;
  const float *gamma, *beta;
  double eps;
  float *mean, *invstd;  ///< [groups]: written by forward, read by gradient
  float* y;
  const float* dy;
  float* dx;               ///< or null
  double *dgamma, *dbeta;  ///< [groups * width]: gradient adds into them
  float* room;             ///< [2, width] for gradient
};

struct GroupNormKernels {
  void (*forward)(const GroupNormRun&);
  void (*gradient)(const GroupNormRun&);
};

LIMBECK_SIMD_TABLE(GroupNormKernels, group_norm_kernels)

}  // namespace limbeck
