// Element-wise kernels that move 16 bytes a thread: V = per_thread<S> elements of storage type S
// (float or bfloat16), arithmetic in float.
//   const Chunk<per_thread<S>> chunk(n, vectors);
//   if (chunk.whole) ..                                           one access of 16 bytes a tensor
//   else for (int64_t i = chunk.first; i < chunk.end; ++i) ..     the tail, and tensors at odd
//   addresses
// (Two branches and not one on an array that is partly filled: such an array would not stay in
// registers.)
#pragma once
#include <algorithm>

#include "ops_cuda/index.h"

namespace limbeck::cuda {

template <class S>
inline constexpr int per_thread = 16 / static_cast<int>(sizeof(S));

/// Elements [first, end) of n are this thread's; `whole`: V of them, and vector accesses are
/// allowed.
template <int V>
struct Chunk {
  int64_t first, end;
  bool whole;
  __device__ Chunk(int64_t n, bool vectors)
      : first(global_index() * V),
        end(std::min<int64_t>(first + V, n)),
        whole(vectors && first + V <= n) {}
};
template <class S>
dim3 blocks_for_chunks(int64_t n) {
  return blocks_for(ceil_div(n, per_thread<S>));
}

/// A tensor that is repeated along some dimensions (NumPy's rules), as its repeated self is read.
template <class S>
struct Operand {
  const S* data = nullptr;  ///< null: nobody needs it, and it reads as 0
  Nest at;
  bool one =
      true;  ///< the elements of a chunk are one and the same, otherwise they lie side by side

  Operand() = default;
  Operand(const Tensor& t, const Nest& nest)
      : data(t.data<S>()), at(nest), one(nest.rank == 0 || nest.stride[nest.rank - 1] == 0) {}
  Operand(const Tensor& t, const Shape& out)
      : Operand(t.defined() ? Operand(t, broadcast_nest(t.shape(), out)) : Operand()) {}

  /// Whether one or the other holds for every whole chunk of V, and the addresses allow vector
  /// accesses.
  bool in_vectors(int V) const {
    if (!data || at.rank == 0) return true;
    const int last = at.rank - 1;
    if (at.stride[last] > 1 || (last > 0 && at.size[last] % V != 0)) return false;
    return one || aligned_for(V, data);
  }
  __device__ float operator[](int64_t i) const {
    return data ? static_cast<float>(data[at.at(i)]) : 0.0f;
  }
  /// Elements i to i + V.
  template <int V>
  __device__ Vector<float, V> chunk(int64_t i) const {
    const S* p = data ? data + at.at(i) : nullptr;
    if (!one) return load_floats<V>(p);
    const float x = p ? static_cast<float>(*p) : 0.0f;
    Vector<float, V> v;
    for (int k = 0; k < V; ++k) v[k] = x;
    return v;
  }
};

}  // namespace limbeck::cuda
