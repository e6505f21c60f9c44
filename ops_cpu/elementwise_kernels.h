// The vector kernels of element-wise functions (simd/elementwise.cpp), one table per instruction
// set.
#pragma once
#include <cstdint>

#include "ops_cpu/isa.h"

namespace limbeck {

/// Order of the tables below.
enum class UnaryKind {
  relu,
  leaky_relu,
  sigmoid,
  tanh,
  silu,
  softplus,
  exp,
  log,
  sqrt,
  square,
  abs,
  clamp,
  affine,
  count
};
enum class BinaryKind { add, sub, mul, div, maximum, minimum, count };

/// y[i] = f(x[i]); a, b: the function's settings.
using UnaryKernel = void (*)(const float* x, float* y, int64_t n, float a, float b);
/// dx[i] = dy[i] f'(s[i]); s: what the operator saves (x or y; null when it saves nothing).
using UnaryGradientKernel = void (*)(const float* dy, const float* s, float* dx, int64_t n, float a,
                                     float b);
/// y[i] = f(a[i * a_step], b[i * b_step]); steps are 0 or 1.
using BinaryKernel = void (*)(const float* a, int a_step, const float* b, int b_step, float* y,
                              int64_t n);

struct ElementwiseKernels {
  UnaryKernel unary[int(UnaryKind::count)];
  UnaryGradientKernel unary_gradient[int(UnaryKind::count)];
  BinaryKernel binary[int(BinaryKind::count)];
};

LIMBECK_SIMD_TABLE(ElementwiseKernels, elementwise_kernels)

}  // namespace limbeck
