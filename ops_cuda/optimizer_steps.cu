// In-place steps of the optimisers and averages; contract in ops/optimizer_steps.cpp.
// All parameters of a network in one launch: ops_cuda/optimizer_steps_many.cu.
//   sgd_step           g += weight_decay w;  v = first ? g : momentum v + g;  w -= lr (nesterov ?
//                                            g + momentum v : v)
//   adam_step          g += weight_decay w, or, decoupled, w *= 1 - lr weight_decay
//                      m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
//                      w -= lr / (1 - b1^step) * m / (sqrt(v) / sqrt(1 - b2^step) + eps)
//   ema_step           target = decay target + (1 - decay) source
// w, g, v, m, target, source [n]; lr [1], hyper [2] = {lr, step}, decay [1] are read on the device,
// so a captured graph replays with new values. w, v, m, target are changed in place. Naive: one
// element a thread, in double. Tuned (f32): four elements a thread by 16-byte loads, in float, the
// powers of the step in double once a thread block. No shared memory but for those numbers;
// deterministic. Bytes an element (f32): sgd 20, adam 28, averages 12; 3 to 15 FLOPs:
// bandwidth-bound. Source: PyTorch's SGD; Kingma & Ba 2015, algorithm 1; Loshchilov & Hutter 2019,
// algorithm 2.
#include "ops_cuda/optimizer_steps.h"

#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

// --- naive ---------------------------------------------------------------------------------------
template <class T>
__global__ void sgd_naive(Sgd sgd, T* w, const T* g, T* v, const T* lr, int64_t n) {
  const int64_t i = global_index();
  if (i < n) sgd.step<double>(w[i], g[i], v[i], double(lr[0]));
}

template <class T>
__global__ void adam_naive(Adam adam, T* w, const T* g, T* m, T* v, const T* hyper, int64_t n) {
  const int64_t i = global_index();
  if (i < n) adam.step<double>(w[i], g[i], m[i], v[i], adam.now<double>(hyper[0], hyper[1]));
}

template <class T>
__global__ void ema_naive(T* target, const T* source, const T* decay, int64_t n) {
  const int64_t i = global_index();
  const double d = decay[0];
  if (i < n) target[i] = T(d * target[i] + (1 - d) * source[i]);
}

template <class T>
void sgd_step(const ForwardCall& c) {
  const Tensor& w = c.in[0];
  if (w.numel() == 0) return;
  LAUNCH(sgd_naive<T>, blocks_for(w.numel()), 256, 0, stream_of(w))
  (Sgd(c.attrs), w.data<T>(), c.in[1].data<T>(), c.in[2].data<T>(), c.in[3].data<T>(), w.numel());
}

template <class T>
void adam_step(const ForwardCall& c) {
  const Tensor& w = c.in[0];
  if (w.numel() == 0) return;
  LAUNCH(adam_naive<T>, blocks_for(w.numel()), 256, 0, stream_of(w))
  (Adam(c.attrs), w.data<T>(), c.in[1].data<T>(), c.in[2].data<T>(), c.in[3].data<T>(),
   c.in[4].data<T>(), w.numel());
}

template <class T>
void ema_step(const ForwardCall& c) {
  const Tensor& to = c.in[0];
  if (to.numel() == 0) return;
  LAUNCH(ema_naive<T>, blocks_for(to.numel()), 256, 0, stream_of(to))
  (to.data<T>(), c.in[1].data<T>(), c.in[2].data<T>(), to.numel());
}

const RegisterNaive sgd_op("sgd_step", {sgd_step<float>}, {sgd_step<double>});
const RegisterNaive adam_op("adam_step", {adam_step<float>}, {adam_step<double>});
const RegisterNaive ema_op("ema_step", {ema_step<float>}, {ema_step<double>});

// --- tuned: V elements a thread ------------------------------------------------------------------
template <int V>
__global__ void sgd_vector(Sgd sgd, float* w, const float* g, float* v, const float* lr,
                           int64_t vectors) {
  const int64_t at = global_index() * V;
  if (at >= vectors * V) return;
  auto weight = load_vector<V>(w + at), velocity = load_vector<V>(v + at);
  const auto grad = load_vector<V>(g + at);
  for (int i = 0; i < V; ++i) sgd.step<float>(weight[i], grad[i], velocity[i], lr[0]);
  store_vector(w + at, weight);
  store_vector(v + at, velocity);
}

template <int V>
__global__ void adam_vector(Adam adam, float* w, const float* g, float* m, float* v,
                            const float* hyper, int64_t vectors) {
  SHARED(Adam::Now<float>, now, [1]);
  if (threadIdx.x == 0) now[0] = adam.now<float>(hyper[0], hyper[1]);
  __syncthreads();
  const int64_t at = global_index() * V;
  if (at >= vectors * V) return;
  auto weight = load_vector<V>(w + at), first = load_vector<V>(m + at),
       second = load_vector<V>(v + at);
  const auto grad = load_vector<V>(g + at);
  for (int i = 0; i < V; ++i) adam.step<float>(weight[i], grad[i], first[i], second[i], now[0]);
  store_vector(w + at, weight);
  store_vector(m + at, first);
  store_vector(v + at, second);
}

template <int V>
__global__ void ema_vector(float* target, const float* source, const float* decay,
                           int64_t vectors) {
  const int64_t at = global_index() * V;
  if (at >= vectors * V) return;
  const float d = decay[0];
  auto x = load_vector<V>(target + at);
  const auto y = load_vector<V>(source + at);
  for (int i = 0; i < V; ++i) x[i] = d * x[i] + (1 - d) * y[i];
  store_vector(target + at, x);
}

// body(V): 4 where the length and the addresses allow 16-byte accesses.
template <class Body>
void by_vectors(int64_t n, bool aligned, Body&& body) {
  if (n == 0) return;
  if (n % 4 == 0 && aligned)
    body(std::integral_constant<int, 4>{});
  else
    body(std::integral_constant<int, 1>{});
}

void sgd_tuned(const ForwardCall& c) {
  const Tensor& w = c.in[0];
  float *pw = w.data<float>(), *g = c.in[1].data<float>(), *v = c.in[2].data<float>();
  by_vectors(w.numel(), aligned_for(4, pw, g, v), [&](auto size) {
    constexpr int V = decltype(size)::value;
    LAUNCH(sgd_vector<V>, blocks_for(w.numel() / V), 256, 0, stream_of(w))
    (Sgd(c.attrs), pw, g, v, c.in[3].data<float>(), w.numel() / V);
  });
}

void adam_tuned(const ForwardCall& c) {
  const Tensor& w = c.in[0];
  float *pw = w.data<float>(), *g = c.in[1].data<float>(), *m = c.in[2].data<float>(),
        *v = c.in[3].data<float>();
  by_vectors(w.numel(), aligned_for(4, pw, g, m, v), [&](auto size) {
    constexpr int V = decltype(size)::value;
    LAUNCH(adam_vector<V>, blocks_for(w.numel() / V), 256, 0, stream_of(w))
    (Adam(c.attrs), pw, g, m, v, c.in[4].data<float>(), w.numel() / V);
  });
}

void ema_tuned(const ForwardCall& c) {
  const Tensor &target = c.in[0], &source = c.in[1];
  by_vectors(
      target.numel(), aligned_for(4, target.data<float>(), source.data<float>()), [&](auto size) {
        constexpr int V = decltype(size)::value;
        LAUNCH(ema_vector<V>, blocks_for(target.numel() / V), 256, 0, stream_of(target))
        (target.data<float>(), source.data<float>(), c.in[2].data<float>(), target.numel() / V);
      });
}

const RegisterTuned sgd_vectors("sgd_step", sgd_tuned, nullptr);
const RegisterTuned adam_vectors("adam_step", adam_tuned, nullptr);
const RegisterTuned ema_vectors("ema_step", ema_tuned, nullptr);

}  // namespace
}  // namespace limbeck::cuda
