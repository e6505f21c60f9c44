// Tuned matrix products on the device; also 1x1 convolutions.
#pragma once
#include "ops_cuda/runtime.h"
#include "tensor/bfloat16.h"

namespace limbeck::cuda {

/// One operand of a product as rows of `k` terms: for the left operand row i of the product, for
/// the right operand its column j. Element (r, k) of matrix (p, s) is data[p * item + s * term + r
/// * pitch + k], or, not k_contiguous, data[.. + k * pitch + r].
template <class E>
struct Matrix {
  const E* data = nullptr;
  bool k_contiguous = true;
  int64_t pitch = 0, item = 0, term = 0;
};

/// c[p](i, j) = bias[p * n + j] + sum over s < terms, l < k of a[p, s](i, l) b[p, s](j, l), where
/// c[p](i, j) is c[p * c_item + i * c_row + j * c_column]. Overwrites. Sizes may be 0.
template <class A, class B, class C>
struct Product {
  Matrix<A> a;
  Matrix<B> b;
  const float* bias = nullptr;
  C* c = nullptr;
  int64_t c_row = 0, c_column = 1, c_item = 0;
  int64_t m = 0, n = 0, k = 0, items = 1, terms = 1;
};

/// Whether gemm() takes products of these sizes and their gradients: it counts elements in 32 bits.
bool gemm_serves(int64_t m, int64_t n, int64_t k, int64_t items);
/// On the stream of `c_of`'s device; workspace comes from its allocator. Compiled for
///   <float, float, float>              in execution().products
///   <bfloat16, float, bfloat16>        activations times weights: bf16 on tensor cores, the
///                                      weights rounded on the way
///   <bfloat16, bfloat16, float>        gradients of weights
///   <bfloat16, bfloat16, bfloat16>     matmul
/// Sums are f32. Not compiled, an error: bfloat16 times float where only the right operand runs
/// along k.
template <class A, class B, class C>
void gemm(const Product<A, B, C>& p, const Tensor& c_of);

}  // namespace limbeck::cuda
