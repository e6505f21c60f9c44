// Element-wise arithmetic of two tensors under NumPy broadcasting; functions and slopes in ops/binary.h.
//   forward  y[i] = f(a[.], b[.])     backward  da = sum of dy df/da over the repeats of a, db likewise
// a, b: shapes that broadcast to y's; y, da, db are overwritten. Forward: one thread per element of y. Backward: ops_cuda/reduction.h.
// No shared memory forward; deterministic. Bytes: 3 sizeof(T) an element without repeats. Source: elementary.
#include "ops/binary.h"

#include "ops_cuda/reduction.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

template <class F, class T>
__global__ void value_kernel(const T* a, Nest at_a, const T* b, Nest at_b, T* y, int64_t n) {
  const int64_t i = global_index();
  if (i < n) y[i] = F::value(a[at_a.at(i)], b[at_b.at(i)]);
}

template <class F, class T>
void forward(const ForwardCall& c) {
  const Shape& shape = c.out[0].shape();
  const int64_t n = shape.numel();
  if (n == 0) return;
  LAUNCH((value_kernel<F, T>), blocks_for(n), 256, 0, stream_of(c.out[0]))(c.in[0].data<T>(), broadcast_nest(c.in[0].shape(), shape), c.in[1].data<T>(),
                                                                         broadcast_nest(c.in[1].shape(), shape), c.out[0].data<T>(), n);
}

/// dy times the slope towards one operand; a and b are null where the slope does not read them.
template <class F, class T, int which>
struct SlopeTerm {
  const T *dy, *a, *b;
  Nest at_a, at_b;
  __device__ T operator()(int64_t i) const {
    const T x = a ? a[at_a.at(i)] : T(0), y = b ? b[at_b.at(i)] : T(0);
    return dy[i] * (which == 0 ? F::slope_a(x, y) : F::slope_b(x, y));
  }
};

template <class F, class T, int which>
void gradient(const BackwardCall& c) {
  const Tensor& din = c.din[which];
  if (!din.defined()) return;
  const Shape& shape = c.dout[0].shape();
  SlopeTerm<F, T, which> term{c.dout[0].data<T>(), nullptr, nullptr, {}, {}};
  if (c.in[0].defined()) term.a = c.in[0].data<T>(), term.at_a = broadcast_nest(c.in[0].shape(), shape);
  if (c.in[1].defined()) term.b = c.in[1].data<T>(), term.at_b = broadcast_nest(c.in[1].shape(), shape);
  sum_groups<T>(groups_of(shape, din.shape()), term, din);
}

template <class F, class T>
void backward(const BackwardCall& c) {
  gradient<F, T, 0>(c);
  gradient<F, T, 1>(c);
}

template <class F>
RegisterNaive naive(const char* op) {
  return {op, {forward<F, float>, backward<F, float>}, {forward<F, double>, backward<F, double>}};
}

const RegisterNaive kernels[] = {
    naive<binary::Add>("add"), naive<binary::Sub>("sub"),         naive<binary::Mul>("mul"),
    naive<binary::Div>("div"), naive<binary::Maximum>("maximum"), naive<binary::Minimum>("minimum"),
};

}  // namespace
}  // namespace limbeck::cuda
