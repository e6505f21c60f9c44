// In-place steps of the optimisers and averages; contract in ops/optimizer_steps.cpp.
// All parameters of a network in one launch: ops_cuda/optimizer_steps_many.cu.
//   sgd_step           g += weight_decay w;  v = first ? g : momentum v + g;  w -= lr (nesterov ? g + momentum v : v)
//   adam_step          g += weight_decay w;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
//                      w -= lr / (1 - b1^step) * m / (sqrt(v) / sqrt(1 - b2^step) + eps)
//   ema_step           target = decay target + (1 - decay) source
//   moving_average     running = (1 - momentum) running + momentum scale batch_value
// w, g, v, m, target, source, running, batch_value [n]; lr [1], hyper [2] = {lr, step}, decay [1] are read on the device, so a captured
// graph replays with new values. w, v, m, target, running are changed in place.
// Naive: one element a thread, in double. Tuned (f32): four elements a thread by 16-byte loads, in float, the powers of the step in double
// once a thread block. No shared memory but for those two numbers; deterministic.
// Bytes an element (f32): sgd 20, adam 28, averages 12; 5 to 12 FLOPs: bandwidth-bound. Source: PyTorch's SGD; Kingma & Ba 2015, algorithm 1.
#include "ops_cuda/optimizer_steps.h"

#include "ops_cuda/pointers.h"

namespace limbeck::cuda {
namespace {

// --- naive ----------------------------------------------------------------------------------------------------------------------
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

// to = a to + b from; with `decay` given, a = decay and b = 1 - decay.
template <class T>
__global__ void blend_naive(T* to, const T* from, const T* decay, double a, double b, int64_t n) {
  const int64_t i = global_index();
  if (decay) a = decay[0], b = 1 - a;
  if (i < n) to[i] = T(a * to[i] + b * from[i]);
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
  (Adam(c.attrs), w.data<T>(), c.in[1].data<T>(), c.in[2].data<T>(), c.in[3].data<T>(), c.in[4].data<T>(), w.numel());
}

struct Blend {
  double a, b;
  explicit Blend(const Attrs& attrs) : a(1 - attrs.number("momentum", 0.1)), b(attrs.number("momentum", 0.1) * attrs.number("scale", 1)) {}
};

template <class T>
void ema_step(const ForwardCall& c) {
  const Tensor& to = c.in[0];
  if (to.numel() == 0) return;
  LAUNCH(blend_naive<T>, blocks_for(to.numel()), 256, 0, stream_of(to))(to.data<T>(), c.in[1].data<T>(), c.in[2].data<T>(), 0, 0, to.numel());
}

template <class T>
void moving_average(const ForwardCall& c) {
  const Tensor& to = c.in[0];
  if (to.numel() == 0) return;
  const Blend blend(c.attrs);
  LAUNCH(blend_naive<T>, blocks_for(to.numel()), 256, 0, stream_of(to))(to.data<T>(), c.in[1].data<T>(), nullptr, blend.a, blend.b, to.numel());
}

const RegisterTypes sgd_op("sgd_step", sgd_step<float>, sgd_step<double>);
const RegisterTypes adam_op("adam_step", adam_step<float>, adam_step<double>);
const RegisterTypes ema_op("ema_step", ema_step<float>, ema_step<double>);
const RegisterTypes moving_average_op("moving_average", moving_average<float>, moving_average<double>);

// --- tuned: V elements a thread --------------------------------------------------------------------------------------------------
template <int V>
__global__ void sgd_vector(Sgd sgd, float* w, const float* g, float* v, const float* lr, int64_t vectors) {
  const int64_t at = global_index() * V;
  if (at >= vectors * V) return;
  auto weight = load_vector<V>(w + at), velocity = load_vector<V>(v + at);
  const auto grad = load_vector<V>(g + at);
  for (int i = 0; i < V; ++i) sgd.step<float>(weight[i], grad[i], velocity[i], lr[0]);
  store_vector(w + at, weight);
  store_vector(v + at, velocity);
}

template <int V>
__global__ void adam_vector(Adam adam, float* w, const float* g, float* m, float* v, const float* hyper, int64_t vectors) {
  SHARED(Adam::Now<float>, now, [1]);
  if (threadIdx.x == 0) now[0] = adam.now<float>(hyper[0], hyper[1]);
  __syncthreads();
  const int64_t at = global_index() * V;
  if (at >= vectors * V) return;
  auto weight = load_vector<V>(w + at), first = load_vector<V>(m + at), second = load_vector<V>(v + at);
  const auto grad = load_vector<V>(g + at);
  for (int i = 0; i < V; ++i) adam.step<float>(weight[i], grad[i], first[i], second[i], now[0]);
  store_vector(w + at, weight);
  store_vector(m + at, first);
  store_vector(v + at, second);
}

template <int V>
__global__ void blend_vector(float* to, const float* from, const float* decay, float a, float b, int64_t vectors) {
  const int64_t at = global_index() * V;
  if (at >= vectors * V) return;
  if (decay) a = decay[0], b = 1 - a;
  auto x = load_vector<V>(to + at);
  const auto y = load_vector<V>(from + at);
  for (int i = 0; i < V; ++i) x[i] = a * x[i] + b * y[i];
  store_vector(to + at, x);
}

// body(V): 4 where the length and the addresses allow 16-byte accesses.
template <class Body>
void by_vectors(int64_t n, bool aligned, Body&& body) {
  if (n == 0) return;
  if (n % 4 == 0 && aligned) body(std::integral_constant<int, 4>{});
  else body(std::integral_constant<int, 1>{});
}

void sgd_tuned(const ForwardCall& c) {
  const Tensor& w = c.in[0];
  float *pw = w.data<float>(), *g = c.in[1].data<float>(), *v = c.in[2].data<float>();
  by_vectors(w.numel(), aligned_for(4, pw, g, v), [&](auto size) {
    constexpr int V = decltype(size)::value;
    LAUNCH(sgd_vector<V>, blocks_for(w.numel() / V), 256, 0, stream_of(w))(Sgd(c.attrs), pw, g, v, c.in[3].data<float>(), w.numel() / V);
  });
}

void adam_tuned(const ForwardCall& c) {
  const Tensor& w = c.in[0];
  float *pw = w.data<float>(), *g = c.in[1].data<float>(), *m = c.in[2].data<float>(), *v = c.in[3].data<float>();
  by_vectors(w.numel(), aligned_for(4, pw, g, m, v), [&](auto size) {
    constexpr int V = decltype(size)::value;
    LAUNCH(adam_vector<V>, blocks_for(w.numel() / V), 256, 0, stream_of(w))(Adam(c.attrs), pw, g, m, v, c.in[4].data<float>(), w.numel() / V);
  });
}

void blend_tuned(const Tensor& to, const Tensor& from, const float* decay, double a, double b) {
  by_vectors(to.numel(), aligned_for(4, to.data<float>(), from.data<float>()), [&](auto size) {
    constexpr int V = decltype(size)::value;
    LAUNCH(blend_vector<V>, blocks_for(to.numel() / V), 256, 0, stream_of(to))
    (to.data<float>(), from.data<float>(), decay, float(a), float(b), to.numel() / V);
  });
}

const RegisterTuned sgd_vectors("sgd_step", sgd_tuned, nullptr);
const RegisterTuned adam_vectors("adam_step", adam_tuned, nullptr);
const RegisterTuned ema_vectors("ema_step", [](const ForwardCall& c) { blend_tuned(c.in[0], c.in[1], c.in[2].data<float>(), 0, 0); }, nullptr);
const RegisterTuned moving_average_vectors("moving_average", [](const ForwardCall& c) {
  const Blend blend(c.attrs);
  blend_tuned(c.in[0], c.in[1], nullptr, blend.a, blend.b);
}, nullptr);

}  // namespace
}  // namespace limbeck::cuda
