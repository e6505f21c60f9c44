// Sizes of one (batched) matrix product, shared by the reference and the kernels.
#pragma once
#include <vector>

#include "ops/op.h"

namespace limbeck {

/// An axis of a batch of products c = a b: its length, and the elements from one matrix to the next
/// in each of the three; 0 where one matrix of an operand serves the whole axis.
struct BatchAxis {
  int64_t size = 1, a = 0, b = 0, c = 0;
};

/// c[p] = op(a[p]) op(b[p]) for every p of the batch, op(a) [m, k], op(b) [k, n].
struct MatmulSizes {
  int64_t batch = 1, m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  std::vector<BatchAxis> axes;  // outermost first; neighbours that advance alike are one
  Shape out;
};

/// Of the operator matmul; throws Error naming the argument, expected and found.
MatmulSizes matmul_sizes(const Shape& a, const Shape& b, const Attrs& attrs);

/// What a kernel computes at once: of the matrices that it writes the p-th, p < items, is the sum
/// over s < terms of the products of the other two's matrices (p, s). Matrix (p, s) of an operand
/// begins at first + p * item + s * term. Runs that write the same matrices differ in `part`, and
/// their results add up; the number of parts is the same for all of them.
struct MatmulRun {
  struct Side {
    int64_t first = 0, item = 0, term = 0;
  };
  Side a, b, c;
  int64_t items = 1, terms = 1, part = 0, parts = 1;
};

/// The runs that compute c, or the gradient of a or b: an axis along which that operand repeats is
/// summed over. As few as there can be: one where each kind of axis occurs once at most.
enum class MatmulResult { c, a, b };
std::vector<MatmulRun> matmul_runs(const std::vector<BatchAxis>& axes, MatmulResult result);

/// Sizes of the operator linear: x [.., in] as [m, k], w [n, k].
struct LinearSizes {
  int64_t m = 0, n = 0, k = 0;
};
/// The same of the operator linear. Both throw naming argument, expected and found.
LinearSizes linear_sizes(const Shape& x, const Shape& w);

}  // namespace limbeck
