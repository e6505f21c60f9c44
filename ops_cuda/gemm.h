// Tuned f32 matrix products on the device; also 1x1 convolutions.
#pragma once
#include "ops_cuda/runtime.h"

namespace limbeck::cuda {

/// One operand of a product as rows of `k` terms: for the left operand row i of the product, for the right operand its column j.
/// Element (r, k) of matrix (p, s) is data[p * item + s * term + r * pitch + k], or, not k_contiguous, data[.. + k * pitch + r].
struct Matrix {
  const float* data = nullptr;
  bool k_contiguous = true;
  int64_t pitch = 0, item = 0, term = 0;
};

/// c[p](i, j) = bias[p * n + j] + sum over s < terms, l < k of a[p, s](i, l) b[p, s](j, l), where c[p](i, j) is
/// c[p * c_item + i * c_row + j * c_column]. Overwrites. Sizes may be 0.
struct Product {
  Matrix a, b;
  const float* bias = nullptr;
  float* c = nullptr;
  int64_t c_row = 0, c_column = 1, c_item = 0;
  int64_t m = 0, n = 0, k = 0, items = 1, terms = 1;
};

/// Whether gemm() takes products of these sizes and their gradients: it counts elements in 32 bits.
bool gemm_serves(int64_t m, int64_t n, int64_t k, int64_t items);
/// Multiplies in product_precision(), on the stream of `c_of`'s device; workspace comes from its allocator. f32 everywhere else.
void gemm(const Product& p, const Tensor& c_of);

}  // namespace limbeck::cuda
