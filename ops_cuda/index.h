// From the number of an element to its place: strides as small structs that kernels get by value.
#pragma once
#include "ops/broadcast.h"
#include "ops_cuda/launch.h"

namespace limbeck::cuda {

/// A nest of up to eight loops, the last one fastest: element i of the nest lies at sum of
/// position[d] * stride[d].
struct Nest {
  int rank = 0;
  int64_t size[Shape::max_rank] = {};
  int64_t stride[Shape::max_rank] = {};

  /// A loop inside all so far; loops of one step are dropped, and those that continue the last one
  /// evenly are merged with it.
  void add(int64_t n, int64_t step) {
    if (n == 1) return;
    if (rank > 0 && stride[rank - 1] == n * step) {
      size[rank - 1] *= n, stride[rank - 1] = step;
      return;
    }
    size[rank] = n, stride[rank++] = step;
  }
  __device__ int64_t at(int64_t i) const {
    int64_t place = 0;
    for (int d = rank - 1; d > 0; --d) {
      place += i % size[d] * stride[d];
      i /= size[d];
    }
    return rank > 0 ? place + i * stride[0] : place;
  }
};

/// Element i of an image batch [n, height, width, channels].
template <class I>
struct ImagePlace {
  I n, h, w, c;
  __device__ ImagePlace(I i, I height, I width, I channels) : c(i % channels) {
    i /= channels;
    w = i % width;
    i /= width;
    h = i % height;
    n = i / height;
  }
};

/// Where an operand of shape `s` stands for element i of the broadcast shape `out` (NumPy's rules).
inline Nest broadcast_nest(const Shape& s, const Shape& out) {
  const Strides strides = broadcast_strides(s, out);
  Nest nest;
  for (int d = 0; d < out.rank(); ++d) nest.add(out[d], strides[static_cast<size_t>(d)]);
  return nest;
}

/// The elements of a row-major tensor `x` in groups: group j is what `kept` (a shape that
/// broadcasts to x's) repeats as its element j.
struct Groups {
  int64_t count = 1, members = 1;
  Nest group, member;
  __device__ int64_t element(int64_t j, int64_t r) const { return group.at(j) + member.at(r); }
};
inline Groups groups_of(const Shape& x, const Shape& kept) {
  Groups g;
  for (int d = 0; d < x.rank(); ++d) {
    const int k = d - (x.rank() - kept.rank());
    const bool repeats = k < 0 || (kept[k] == 1 && x[d] != 1);
    (repeats ? g.members : g.count) *= x[d];
    (repeats ? g.member : g.group).add(x[d], x.numel(d + 1, x.rank()));
  }
  return g;
}

}  // namespace limbeck::cuda
