// Element-wise arithmetic of two tensors under NumPy broadcasting; functions and slopes in
// ops/binary.h.
//   forward  y[i] = f(a[.], b[.])     backward  da = sum of dy df/da over the repeats of a
// a, b: shapes that broadcast to y's; y, da, db are overwritten. Integers: naive, in 64 bits; a
// division by 0 is reported (ops_cuda/fault.h). Deterministic. Source: elementary.
// Naive: one thread per element of y; gradients by ops_cuda/reduction.h, each for itself. No shared
// memory forward. Tuned (f32, bf16 with arithmetic in float): 16 bytes a thread
// (ops_cuda/elements.h) where the elements of a chunk lie side by side in an operand or are one
// (equal shapes, a factor per channel or per image, a scalar); one launch for the gradients of all
// operands that are not repeated, so that dy is read once. Repeated operands: ops_cuda/reduction.h.
// Odd shapes: element by element. Bytes: 3 sizeof(T) an element without repeats; backward 3 (add,
// sub) or 5 (mul) for both gradients.
#include "ops/binary.h"

#include <type_traits>

#include "ops/checks.h"
#include "ops_cuda/elements.h"
#include "ops_cuda/fault.h"
#include "ops_cuda/pointers.h"
#include "ops_cuda/reduction.h"

namespace limbeck::cuda {
namespace {

template <class F, class T>
__global__ void value_kernel(const T* a, Nest at_a, const T* b, Nest at_b, T* y, int64_t n) {
  const int64_t i = global_index();
  if (i < n) y[i] = F::value(a[at_a.at(i)], b[at_b.at(i)]);
}

template <class F, class T>
__global__ void whole_kernel(const T* a, Nest at_a, const T* b, Nest at_b, T* y, int64_t n,
                             FaultReport fault) {
  const int64_t i = global_index();
  if (i >= n) return;
  const int64_t from = at_b.at(i);
  if (!binary::Divides<F> || divides(fault, from, b[from]))
    y[i] = static_cast<T>(F::whole(a[at_a.at(i)], b[from]));
}

template <class F, class T>
void forward_whole(const ForwardCall& c) {
  const Shape& shape = c.out[0].shape();
  const int64_t n = shape.numel();
  LAUNCH((whole_kernel<F, T>), blocks_for(n), 256, 0, stream_of(c.out[0]))
  (c.in[0].data<T>(), broadcast_nest(c.in[0].shape(), shape), c.in[1].data<T>(),
   broadcast_nest(c.in[1].shape(), shape), c.out[0].data<T>(), n,
   fault_of(c.out[0], F::about().name));
}

template <class F, class T>
void forward(const ForwardCall& c) {
  const Shape& shape = c.out[0].shape();
  const int64_t n = shape.numel();
  if (n == 0) return;
  if constexpr (binary::Integers<F>) {
    if (c.out[0].dtype() == DType::i64) return forward_whole<F, int64_t>(c);
    if (c.out[0].dtype() == DType::i32) return forward_whole<F, int32_t>(c);
  }
  LAUNCH((value_kernel<F, T>), blocks_for(n), 256, 0, stream_of(c.out[0]))
  (c.in[0].data<T>(), broadcast_nest(c.in[0].shape(), shape), c.in[1].data<T>(),
   broadcast_nest(c.in[1].shape(), shape), c.out[0].data<T>(), n);
}

/// dy times the slope towards one operand, in T, of tensors of S; a and b are null where the slope
/// does not read them.
template <class F, class T, class S, int which>
struct SlopeTerm {
  const S *dy, *a, *b;
  Nest at_a, at_b;
  SlopeTerm(const BackwardCall& c, const Shape& shape)
      : dy(c.dout[0].data<S>()), a(optional_data<S>(c.in[0])), b(optional_data<S>(c.in[1])) {
    if (a) at_a = broadcast_nest(c.in[0].shape(), shape);
    if (b) at_b = broadcast_nest(c.in[1].shape(), shape);
  }
  __device__ T operator()(int64_t i) const {
    const T x = a ? T(a[at_a.at(i)]) : T(0), y = b ? T(b[at_b.at(i)]) : T(0);
    return T(dy[i]) * (which == 0 ? F::slope_a(x, y) : F::slope_b(x, y));
  }
};

template <class F, class T, int which>
void gradient(const BackwardCall& c) {
  const Tensor& din = c.din[which];
  if (!din.defined()) return;
  const Shape& shape = c.dout[0].shape();
  sum_groups<T>(groups_of(shape, din.shape()), SlopeTerm<F, T, T, which>(c, shape), din);
}

template <class F, class T>
void backward(const BackwardCall& c) {
  gradient<F, T, 0>(c);
  gradient<F, T, 1>(c);
}

// --- tuned ---------------------------------------------------------------------------------------
template <class F, class S>
__global__ void value_vectors(Operand<S> a, Operand<S> b, S* y, int64_t n, bool vectors) {
  constexpr int V = per_thread<S>;
  const Chunk<V> chunk(n, vectors);
  if (chunk.whole) {
    auto x = a.template chunk<V>(chunk.first);
    const auto z = b.template chunk<V>(chunk.first);
    for (int v = 0; v < V; ++v) x[v] = F::value(x[v], z[v]);
    store_floats(y + chunk.first, x);
  } else {
    for (int64_t i = chunk.first; i < chunk.end; ++i) y[i] = S(F::value(a[i], b[i]));
  }
}

/// Gradients of operands that are not repeated; da or db is null where that is not so or nobody
/// wants it. "0 +" is the naive kernel's sum of one term: no zero is negative.
template <class F, class S>
__global__ void slope_vectors(const S* dy, Operand<S> a, Operand<S> b, S* da, S* db, int64_t n,
                              bool vectors) {
  constexpr int V = per_thread<S>;
  const Chunk<V> chunk(n, vectors);
  if (chunk.whole) {
    const auto g = load_floats<V>(dy + chunk.first), x = a.template chunk<V>(chunk.first),
               z = b.template chunk<V>(chunk.first);
    Vector<float, V> result;
    if (da) {
      for (int v = 0; v < V; ++v) result[v] = 0 + g[v] * F::slope_a(x[v], z[v]);
      store_floats(da + chunk.first, result);
    }
    if (db) {
      for (int v = 0; v < V; ++v) result[v] = 0 + g[v] * F::slope_b(x[v], z[v]);
      store_floats(db + chunk.first, result);
    }
  } else {
    for (int64_t i = chunk.first; i < chunk.end; ++i) {
      const float g = static_cast<float>(dy[i]), x = a[i], z = b[i];
      if (da) da[i] = S(0 + g * F::slope_a(x, z));
      if (db) db[i] = S(0 + g * F::slope_b(x, z));
    }
  }
}

template <class F, class S>
void forward_vectors(const ForwardCall& c) {
  constexpr int V = per_thread<S>;
  const Shape& shape = c.out[0].shape();
  const int64_t n = shape.numel();
  if (n == 0) return;
  const Operand<S> a(c.in[0], shape), b(c.in[1], shape);
  S* y = c.out[0].data<S>();
  LAUNCH((value_vectors<F, S>), blocks_for_chunks<S>(n), 256, 0, stream_of(c.out[0]))
  (a, b, y, n, a.in_vectors(V) && b.in_vectors(V) && aligned_for(V, y));
}

/// Operators whose operands networks repeat; the others are spared the compile time of the tuned
/// sums.
template <class F>
constexpr bool often_repeated = std::is_same_v<F, binary::Add> || std::is_same_v<F, binary::Sub> ||
                                std::is_same_v<F, binary::Mul>;

template <class F, class S, int which>
void repeated_gradient(const BackwardCall& c) {
  const Tensor& din = c.din[which];
  const Shape& shape = c.dout[0].shape();
  if (!din.defined() || din.numel() == shape.numel()) return;
  const SlopeTerm<F, float, S, which> term(c, shape);
  if constexpr (often_repeated<F>)
    sum_groups_tuned<S>(groups_of(shape, din.shape()), term, din);
  else
    sum_groups<float, S>(groups_of(shape, din.shape()), term, din);
}

template <class F, class S>
void backward_vectors(const BackwardCall& c) {
  constexpr int V = per_thread<S>;
  const Shape& shape = c.dout[0].shape();
  const int64_t n = shape.numel();
  S* din[2] = {};
  for (const size_t i : {0, 1})
    if (c.din[i].defined() && c.din[i].numel() == n) din[i] = c.din[i].data<S>();
  if (n > 0 && (din[0] || din[1])) {
    const Operand<S> a(c.in[0], shape), b(c.in[1], shape);
    const S* dy = c.dout[0].data<S>();
    const bool vectors = a.in_vectors(V) && b.in_vectors(V) && aligned_for(V, dy, din[0], din[1]);
    LAUNCH((slope_vectors<F, S>), blocks_for_chunks<S>(n), 256, 0, stream_of(c.dout[0]))
    (dy, a, b, din[0], din[1], n, vectors);
  }
  repeated_gradient<F, S, 0>(c);
  repeated_gradient<F, S, 1>(c);
}

template <class F, class T>
Functions naive() {
  if constexpr (binary::Differentiable<F>)
    return {forward<F, T>, backward<F, T>};
  else
    return {forward<F, T>};
}
template <class F, class S>
Functions tuned() {
  if constexpr (binary::Differentiable<F>)
    return {forward_vectors<F, S>, backward_vectors<F, S>};
  else
    return {forward_vectors<F, S>};
}

template <class F>
struct Kernels : RegisterElementwise {
  Kernels()
      : RegisterElementwise(F::about().name, naive<F, float>(), naive<F, double>(),
                            tuned<F, float>(), tuned<F, bfloat16>(), without_integers) {}
};
const binary::Functions::Each<Kernels> kernels;

}  // namespace
}  // namespace limbeck::cuda
