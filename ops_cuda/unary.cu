// Element-wise functions of one tensor; formulas and gradients in ops/unary.h.
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

// What the gradient reads, x or y, is `saved`; null where it reads neither.
template <class F, class T>
__global__ void slope_kernel(const T* saved, const T* dy, T* dx, int64_t n, Settings s) {
  const int64_t i = global_index();
  if (i < n) dx[i] = dy[i] * F::gradient(T(1), saved ? saved[i] : T(0), s);
}

/// x or y of a backward, whichever the operator saves; null where it saves neither.
template <class T>
const T* saved_of(const BackwardCall& c) {
  return optional_data<T>(c.in[0].defined() ? c.in[0] : c.out[0]);
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
  (saved_of<T>(c), c.dout[0].data<T>(), c.din[0].data<T>(), n, F::settings(c.attrs));
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

template <class F, class S>
__global__ void slope_vectors(const S* saved, const S* dy, S* dx, int64_t n, bool vectors,
                              Settings s) {
  constexpr int V = per_thread<S>;
  const Chunk<V> chunk(n, vectors);
  if (chunk.whole) {
    Vector<float, V> at{};
    if (saved) at = load_floats<V>(saved + chunk.first);
    auto g = load_floats<V>(dy + chunk.first);
    for (int v = 0; v < V; ++v) g[v] = g[v] * F::gradient(1.0f, at[v], s);
    store_floats(dx + chunk.first, g);
  } else {
    for (int64_t i = chunk.first; i < chunk.end; ++i) {
      const float at = saved ? static_cast<float>(saved[i]) : 0.0f;
      dx[i] = S(static_cast<float>(dy[i]) * F::gradient(1.0f, at, s));
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
  const S *saved = saved_of<S>(c), *dy = c.dout[0].data<S>();
  S* dx = c.din[0].data<S>();
  LAUNCH((slope_vectors<F, S>), blocks_for_chunks<S>(n), 256, 0, stream_of(c.dout[0]))
  (saved, dy, dx, n, aligned_for(per_thread<S>, saved, dy, dx), F::settings(c.attrs));
}

template <class F>
struct Kernels : RegisterElementwise {
  Kernels()
      : RegisterElementwise(F::about().name, {forward<F, float>, backward<F, float>},
                            {forward<F, double>, backward<F, double>},
                            {forward_vectors<F, float>, backward_vectors<F, float>},
                            {forward_vectors<F, bfloat16>, backward_vectors<F, bfloat16>}) {}
};
const unary::Functions::Each<Kernels> kernels;

}  // namespace
}  // namespace limbeck::cuda
