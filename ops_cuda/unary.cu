// Element-wise functions of one tensor; formulas and slopes in ops/unary.h.
//   forward  y[i] = f(x[i])          backward  dx[i] = dy[i] f'(x[i] or y[i])
// x, y, dy, dx [n], one type; y and dx are overwritten. One thread per element; no shared memory; deterministic.
// Bytes: 2 sizeof(T) an element forward, 2 or 3 backward: bandwidth-bound. Source: elementary.
#include "ops/unary.h"

#include "ops_cuda/launch.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

using unary::Settings;

template <class F, class T>
__global__ void value_kernel(const T* x, T* y, int64_t n, Settings s) {
  const int64_t i = global_index();
  if (i < n) y[i] = F::value(x[i], s);
}

// `x` or `y` is null where the operator does not save it; the slope reads only the other.
template <class F, class T>
__global__ void slope_kernel(const T* x, const T* y, const T* dy, T* dx, int64_t n, Settings s) {
  const int64_t i = global_index();
  if (i < n) dx[i] = dy[i] * F::slope(x ? x[i] : T(0), y ? y[i] : T(0), s);
}

template <class F, class T>
void forward(const ForwardCall& c) {
  const int64_t n = c.out[0].numel();
  if (n == 0) return;
  LAUNCH((value_kernel<F, T>), blocks_for(n), 256, 0, stream_of(c.out[0]))(c.in[0].data<T>(), c.out[0].data<T>(), n, F::settings(c.attrs));
}

template <class F, class T>
void backward(const BackwardCall& c) {
  const int64_t n = c.dout[0].numel();
  if (n == 0 || !c.din[0].defined()) return;
  const T* x = c.in[0].defined() ? c.in[0].data<T>() : nullptr;
  const T* y = c.out[0].defined() ? c.out[0].data<T>() : nullptr;
  LAUNCH((slope_kernel<F, T>), blocks_for(n), 256, 0, stream_of(c.dout[0]))(x, y, c.dout[0].data<T>(), c.din[0].data<T>(), n, F::settings(c.attrs));
}

template <class F>
RegisterNaive naive(const char* op) {
  return {op, {forward<F, float>, backward<F, float>}, {forward<F, double>, backward<F, double>}};
}

const RegisterNaive kernels[] = {
    naive<unary::Relu>("relu"),       naive<unary::LeakyRelu>("leaky_relu"), naive<unary::Sigmoid>("sigmoid"), naive<unary::Tanh>("tanh"),
    naive<unary::Silu>("silu"),       naive<unary::Softplus>("softplus"),    naive<unary::Exp>("exp"),         naive<unary::Log>("log"),
    naive<unary::Sqrt>("sqrt"),       naive<unary::Square>("square"),        naive<unary::Abs>("abs"),         naive<unary::PowScalar>("pow_scalar"),
    naive<unary::Clamp>("clamp"),     naive<unary::Affine>("affine"),
};

}  // namespace
}  // namespace limbeck::cuda
