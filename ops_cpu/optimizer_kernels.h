// The vector kernels of the in-place optimiser steps (simd/optimizer.cpp), one table per
// instruction set.
#pragma once
#include <cstdint>

#include "ops_cpu/isa.h"

namespace limbeck {

struct SgdRun {
  float* w;
  const float* g;
  float* v;
  float lr, momentum, decay;
  bool nesterov, first;
};
struct AdamRun {
  float* w;
  const float* g;
  float *m, *v;
  float beta1, beta2, decay;  ///< decay: L2 in the gradient
  float rest1, rest2;         ///< 1 - beta1, 1 - beta2, of the exact betas
  float step_size;            ///< lr / (1 - beta1^step)
  float inverse_root;         ///< 1 / sqrt(1 - beta2^step)
  float eps;
  float keep;  ///< factor of w: below 1 by decoupled weight decay
};

struct OptimizerKernels {
  void (*sgd)(const SgdRun&, int64_t begin, int64_t end);
  void (*adam)(const AdamRun&, int64_t begin, int64_t end);
  /// to = a to + b from
  void (*blend)(float* to, const float* from, float a, float b, int64_t begin, int64_t end);
};

LIMBECK_SIMD_TABLE(OptimizerKernels, optimizer_kernels)

}  // namespace limbeck
