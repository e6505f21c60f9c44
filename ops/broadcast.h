// Walking several tensors in step under NumPy broadcasting.
#pragma once
#include <array>
#include <cstdint>

#include "tensor/shape.h"

namespace limbeck {

using Strides = std::array<int64_t, Shape::max_rank>;

/// Element strides of a contiguous tensor of shape `s` along the dimensions of the broadcast shape
/// `out`; 0 where it repeats.
inline Strides broadcast_strides(const Shape& s, const Shape& out) {
  Strides strides{};
  int64_t stride = 1;
  for (int d = s.rank() - 1; d >= 0; --d) {
    if (s[d] != 1) strides[d + out.rank() - s.rank()] = stride;
    stride *= s[d];
  }
  return strides;
}

/// Calls f(i, index) for each element i of `out` in row-major order; index[k] is the element of the
/// k-th broadcast tensor.
template <size_t K, class F>
void for_each_broadcast(const Shape& out, const std::array<Strides, K>& strides, F&& f) {
  const int64_t n = out.numel();
  const int rank = out.rank();
  Strides position{};
  std::array<int64_t, K> index{};
  for (int64_t i = 0; i < n; ++i) {
    f(i, index);
    for (int d = rank - 1; d >= 0; --d) {
      const int64_t size = out.begin()[d];
      for (size_t k = 0; k < K; ++k) index[k] += strides[k][d];
      if (++position[d] < size) break;
      for (size_t k = 0; k < K; ++k) index[k] -= strides[k][d] * size;
      position[d] = 0;
    }
  }
}

}  // namespace limbeck
