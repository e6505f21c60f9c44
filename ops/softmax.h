// Shared by the operators that normalise rows in log space.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/tensor.h"

namespace limbeck {

/// log sum_i e^x_i of `size` values, safe from overflow; -inf for none.
template <class T>
double log_sum_exp(const T* x, int64_t size) {
  if (size == 0) return -std::numeric_limits<double>::infinity();
  const double largest = *std::max_element(x, x + size);
  if (!std::isfinite(largest)) return largest;
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += std::exp(x[i] - largest);
  return largest + std::log(sum);
}

/// body(offset of the row, its size) for every row of the last axis.
template <class Body>
void for_each_row(const Tensor& t, Body&& body) {
  const int64_t size = t.size(-1), rows = t.shape().numel(0, t.rank() - 1);
  for (int64_t r = 0; r < rows; ++r) body(r * size, size);
}

}  // namespace limbeck
