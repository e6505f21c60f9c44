// Sizes of one (batched) matrix product, shared by the reference and the device kernels.
#pragma once
#include "ops/op.h"

namespace limbeck {

/// c[p] = op(a[p]) op(b[p]) for p < batch, op(a) [m, k], op(b) [k, n]; a stride of 0 repeats one
/// matrix for the whole batch.
struct MatmulSizes {
  int64_t batch = 1, m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  int64_t stride_a = 0, stride_b = 0;  // elements from one matrix of the batch to the next
  Shape out;
};

/// Of the operator matmul; throws Error naming the argument, expected and found.
MatmulSizes matmul_sizes(const Shape& a, const Shape& b, const Attrs& attrs);

/// Sizes of the operator linear: x [.., in] as [m, k], w [n, k].
struct LinearSizes {
  int64_t m = 0, n = 0, k = 0;
};
/// The same of the operator linear. Both throw naming argument, expected and found.
LinearSizes linear_sizes(const Shape& x, const Shape& w);

}  // namespace limbeck
