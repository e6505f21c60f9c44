// The vector kernels of element-wise functions (simd/elementwise.cpp), one table per instruction
// set.
#pragma once
#include <cstdint>

#include "ops/binary.h"
#include "ops/unary.h"
#include "ops_cpu/isa.h"

namespace limbeck {

/// y[i] = f(x[i]).
using UnaryKernel = void (*)(const float* x, float* y, int64_t n, unary::Settings settings);
/// dx[i] = dy[i] f'(s[i]); s: what the operator saves (x or y; null when it saves nothing).
using UnaryGradientKernel = void (*)(const float* dy, const float* s, float* dx, int64_t n,
                                     unary::Settings settings);
/// y[i] = f(a[i * a_step], b[i * b_step]); steps are 0 or 1.
using BinaryKernel = void (*)(const float* a, int a_step, const float* b, int b_step, float* y,
                              int64_t n);

/// In the order of the lists.
struct ElementwiseKernels {
  UnaryKernel unary[unary::Functions::size];
  UnaryGradientKernel unary_gradient[unary::Functions::size];
  BinaryKernel binary[binary::Functions::size];
};

LIMBECK_SIMD_TABLE(ElementwiseKernels, elementwise_kernels)

/// The kernel of a function, by its type, for the instruction set in use; the others alike.
template <class F>
UnaryKernel unary_kernel() {
  return elementwise_kernels().unary[unary::Functions::index<F>()];
}
/// Of its gradient.
template <class F>
UnaryGradientKernel unary_gradient_kernel() {
  return elementwise_kernels().unary_gradient[unary::Functions::index<F>()];
}
/// Of a function of two tensors.
template <class F>
BinaryKernel binary_kernel() {
  return elementwise_kernels().binary[binary::Functions::index<F>()];
}

}  // namespace limbeck
