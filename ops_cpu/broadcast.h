// Element-wise f32 functions of two tensors under NumPy broadcasting, and the sums that undo it.
#pragma once
#include "ops_cpu/elementwise_kernels.h"
#include "tensor/tensor.h"

namespace limbeck {

/// y = f(a, b), with a and b broadcast to y's shape.
void broadcast_binary(BinaryKernel f, const Tensor& a, const Tensor& b, const Tensor& y);
/// The same for a function of ops/binary.h.
template <class F>
void broadcast_binary(const Tensor& a, const Tensor& b, const Tensor& y) {
  broadcast_binary(binary_kernel<F>(), a, b, y);
}

/// y = divided-by-`divisor` sum of x over the dimensions along which `kept` (y's shape, aligned
/// right, or of x's rank) has size 1. Partial sums are floats over at most 1024 values, added in
/// double in a fixed order.
void sum_to(const Tensor& x, const Shape& kept, double divisor, const Tensor& y);

}  // namespace limbeck
