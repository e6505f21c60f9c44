// Element-wise functions of one tensor; formulas and slopes in ops/unary.h.
//   forward  y[i] = f(x[i])          backward  dx[i] = dy[i] f'(x[i] or y[i])
// x, y, dy, dx [n], one type; y and dx are overwritten. No shared memory; deterministic. Source:
// elementary. Naive: one thread per element. Tuned (f32, bf16 with arithmetic in float): 16 bytes a
// thread (ops_cuda/elements.h). Bytes: 2 sizeof(T) an element forward, 2 or 3 backward:
// bandwidth-bound.
#include "ops/unary.h"

#include "ops_cuda/elements.h"
#include "ops_cuda/pointers.h"

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
  LAUNCH((value_kernel<F, T>), blocks_for(n), 256, 0, stream_of(c.out[0]))
  (c.in[0].data<T>(), c.out[0].data<T>(), n, F::settings(c.attrs));
}

template <class F, class T>
void backward(const BackwardCall& c) {
  const int64_t n = c.dout[0].numel();
  if (n == 0 || !c.din[0].defined()) return;
  LAUNCH((slope_kernel<F, T>), blocks_for(n), 256, 0, stream_of(c.dout[0]))
  (optional_data<T>(c.in[0]), optional_data<T>(c.out[0]), c.dout[0].data<T>(), c.din[0].data<T>(),
   n, F::settings(c.attrs));
}

// --- tuned ---------------------------------------------------------------------------------------
template <class F, class S>
__global__ void value_vectors(const S* x, S* y, int64_t n, bool vectors, Settings s) {
  constexpr int V = per_thread<S>;
  const Chunk<V> chunk(n, vectors);
  if (chunk.whole) {
    auto value = load_floats<V>(x + chunk.first);
    for (int v = 0; v < V; ++v) value[v] = F::value(value[v], s);
    store_floats(y + chunk.first, value);
  } else {
    for (int64_t i = chunk.first; i < chunk.end; ++i)
      y[i] = S(F::value(static_cast<float>(x[i]), s));
  }
}

// What the slope reads, x or y, is `saved`; null where it reads neither.
template <class F, class S>
__global__ void slope_vectors(const S* saved, const S* dy, S* dx, int64_t n, bool vectors,
                              Settings s) {
  constexpr int V = per_thread<S>;
  const Chunk<V> chunk(n, vectors);
  if (chunk.whole) {
    Vector<float, V> at{};
    if (saved) at = load_floats<V>(saved + chunk.first);
    auto g = load_floats<V>(dy + chunk.first);
    for (int v = 0; v < V; ++v) g[v] = g[v] * F::slope(at[v], at[v], s);
    store_floats(dx + chunk.first, g);
  } else {
    for (int64_t i = chunk.first; i < chunk.end; ++i) {
      const float at = saved ? static_cast<float>(saved[i]) : 0.0f;
      dx[i] = S(static_cast<float>(dy[i]) * F::slope(at, at, s));
    }
  }
}

template <class F, class S>
void forward_vectors(const ForwardCall& c) {
  const int64_t n = c.out[0].numel();
  if (n == 0) return;
  const S* x = c.in[0].data<S>();
  S* y = c.out[0].data<S>();
  LAUNCH((value_vectors<F, S>), blocks_for_chunks<S>(n), 256, 0, stream_of(c.out[0]))
  (x, y, n, aligned_for(per_thread<S>, x, y), F::settings(c.attrs));
}

template <class F, class S>
void backward_vectors(const BackwardCall& c) {
  const int64_t n = c.dout[0].numel();
  if (n == 0 || !c.din[0].defined()) return;
  const S *saved = optional_data<S>(c.in[0].defined() ? c.in[0] : c.out[0]),
          *dy = c.dout[0].data<S>();
  S* dx = c.din[0].data<S>();
  LAUNCH((slope_vectors<F, S>), blocks_for_chunks<S>(n), 256, 0, stream_of(c.dout[0]))
  (saved, dy, dx, n, aligned_for(per_thread<S>, saved, dy, dx), F::settings(c.attrs));
}

template <class F>
struct Kernels {
  RegisterNaive naive;
  RegisterTuned f32, bf16;
  explicit Kernels(const char* op)
      : naive(op, {forward<F, float>, backward<F, float>},
              {forward<F, double>, backward<F, double>}),
        f32(op, {forward_vectors<F, float>, backward_vectors<F, float>}),
        bf16(op, {forward_vectors<F, bfloat16>, backward_vectors<F, bfloat16>}, nullptr,
             DType::bf16) {}
};

const Kernels<unary::Relu> relu("relu");
const Kernels<unary::LeakyRelu> leaky_relu("leaky_relu");
const Kernels<unary::Sigmoid> sigmoid("sigmoid");
const Kernels<unary::Tanh> tanh_op("tanh");
const Kernels<unary::Silu> silu("silu");
const Kernels<unary::Softplus> softplus("softplus");
const Kernels<unary::Exp> exp_op("exp");
const Kernels<unary::Log> log_op("log");
const Kernels<unary::Sqrt> sqrt_op("sqrt");
const Kernels<unary::Square> square("square");
const Kernels<unary::Abs> abs_op("abs");
const Kernels<unary::PowScalar> pow_scalar("pow_scalar");
const Kernels<unary::Clamp> clamp("clamp");
const Kernels<unary::Affine> affine("affine");

}  // namespace
}  // namespace limbeck::cuda
