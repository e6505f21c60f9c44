// max_pool2d, avg_pool2d, adaptive_avg_pool2d, upsample_nearest; contract in ops/pooling.cpp. One
// source, two registrations: naive (any floating type, one element a thread, 64-bit indices) and
// tuned (f32 and bf16, 16 bytes of channels a thread, 32-bit indices).
//   max_pool2d  y = max over the window; index = h * W + w of the first maximum;  dx = sum of dy
//               over the windows whose index is here
//   avg_pool2d  y = sum over the window / its size;   dx = sum of dy / size over the windows that
//                                                     cover the pixel
//   adaptive_avg_pool2d  windows floor(o S / O) .. ceil((o + 1) S / O) per axis, mean
//   upsample_nearest  y[h, w] = x[h / scale, w / scale];  dx = sum of dy over the block
// x, dx [N, H, W, C]; y, dy [N, H', W', C]; index i32 like y. All outputs are overwritten. Threads:
// one per V channels of an output pixel (forward) or of an input pixel (backward), channels
// fastest: coalesced. The backward gathers instead of scattering: no atomics, one fixed order of
// additions. No shared memory. Sums in double (f64) or float (f32, bf16). Bytes: each tensor once
// from memory, overlapping windows from the caches. FLOPs: one per pixel of a window. Source:
// elementary.
#include "ops/pooling.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include "ops_cuda/index.h"
#include "ops_cuda/long_sum.h"
#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

// 32-bit indices where they reach: a 64-bit division costs a GPU several times as much.
template <class I>
struct Axis {
  I size, out, kernel, stride, padding;
  bool count_padding;

  struct Window {
    I begin, end, counted;
  };
  __device__ Window window(I o) const {
    const I begin = o * stride - padding, end = std::min<I>(begin + kernel, size + padding);
    const I inside = std::max<I>(begin, 0), inside_end = std::min<I>(end, size);
    return {inside, inside_end, count_padding ? end - begin : inside_end - inside};
  }
  /// Outputs [first, last) whose window covers input position i.
  __device__ I first(I i) const {
    return std::max<I>(0, (i + padding - kernel) / stride + (i + padding >= kernel ? 1 : 0));
  }
  __device__ I last(I i) const { return std::min<I>(out, (i + padding) / stride + 1); }
};

// The same for adaptive pooling. The product of two sizes may need 64 bits.
template <class I>
struct AdaptiveAxis {
  I size, out;

  struct Window {
    I begin, end, counted;
  };
  __device__ Window window(I o) const {
    const I begin = I(int64_t(o) * size / out), end = I((int64_t(o + 1) * size + out - 1) / out);
    return {begin, end, end - begin};
  }
  __device__ I first(I i) const { return I(int64_t(i) * out / size); }
  __device__ I last(I i) const {
    return std::min<I>(out, I((int64_t(i + 1) * out + size - 1) / size));
  }
};

template <class I, class A>
struct Pooling {
  A rows, columns;
  I images, channels;  // channels in vectors
};

template <class T>
using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;

/// V elements as they enter the sums, and back.
template <int V, class T>
__device__ auto load_terms(const T* p) {
  if constexpr (std::is_same_v<T, double>)
    return load_vector<V>(p);
  else
    return load_floats<V>(p);
}
template <class T, int V>
__device__ void store_terms(T* p, const Vector<Sum<T>, V>& value) {
  if constexpr (std::is_same_v<T, double>)
    store_vector(p, value);
  else
    store_floats(p, value);
}

template <class T, int V, class I, class A>
__global__ void max_forward(const T* x, T* y, int32_t* index, Pooling<I, A> p) {
  const int64_t i = global_index();
  if (i >= int64_t(p.images) * p.rows.out * p.columns.out * p.channels) return;
  const ImagePlace<I> at(I(i), p.rows.out, p.columns.out, p.channels);
  const auto rows = p.rows.window(at.h), columns = p.columns.window(at.w);
  Vector<Sum<T>, V> best;
  Vector<int32_t, V> where;
  for (int v = 0; v < V; ++v)
    best[v] = -std::numeric_limits<Sum<T>>::infinity(),
    where[v] = int32_t(rows.begin * p.columns.size + columns.begin);
  for (I h = rows.begin; h < rows.end; ++h)
    for (I w = columns.begin; w < columns.end; ++w) {
      const auto value = load_terms<V>(
          x + int64_t(((at.n * p.rows.size + h) * p.columns.size + w) * p.channels + at.c) * V);
      for (int v = 0; v < V; ++v)
        if (value[v] > best[v] || value[v] != value[v])
          best[v] = value[v], where[v] = int32_t(h * p.columns.size + w);
    }
  store_terms(y + i * V, best);
  store_vector(index + i * V, where);
}

template <class T, int V, class I, class A>
__global__ void max_backward(const T* dy, const int32_t* index, T* dx, Pooling<I, A> p) {
  const int64_t i = global_index();
  if (i >= int64_t(p.images) * p.rows.size * p.columns.size * p.channels) return;
  const ImagePlace<I> at(I(i), p.rows.size, p.columns.size, p.channels);
  const int32_t here = int32_t(at.h * p.columns.size + at.w);
  Vector<Sum<T>, V> sum{};
  for (I oh = p.rows.first(at.h); oh < p.rows.last(at.h); ++oh)
    for (I ow = p.columns.first(at.w); ow < p.columns.last(at.w); ++ow) {
      const int64_t o =
          int64_t(((at.n * p.rows.out + oh) * p.columns.out + ow) * p.channels + at.c) * V;
      const auto which = load_vector<V>(index + o);
      const auto g = load_terms<V>(dy + o);
      for (int v = 0; v < V; ++v)
        if (which[v] == here) sum[v] += g[v];
    }
  store_terms(dx + i * V, sum);
}

template <class T, int V, class I, class A>
__global__ void average_forward(const T* x, T* y, Pooling<I, A> p) {
  const int64_t i = global_index();
  if (i >= int64_t(p.images) * p.rows.out * p.columns.out * p.channels) return;
  const ImagePlace<I> at(I(i), p.rows.out, p.columns.out, p.channels);
  const auto rows = p.rows.window(at.h), columns = p.columns.window(at.w);
  LongSum<Sum<T>> sum[V];
  for (I h = rows.begin; h < rows.end; ++h)
    for (I w = columns.begin; w < columns.end; ++w) {
      const auto value = load_terms<V>(
          x + int64_t(((at.n * p.rows.size + h) * p.columns.size + w) * p.channels + at.c) * V);
      for (int v = 0; v < V; ++v) sum[v].add(value[v]);
    }
  Vector<Sum<T>, V> mean;
  for (int v = 0; v < V; ++v)
    mean[v] = sum[v].value() / (Sum<T>(rows.counted) * Sum<T>(columns.counted));
  store_terms(y + i * V, mean);
}

template <class T, int V, class I, class A>
__global__ void average_backward(const T* dy, T* dx, Pooling<I, A> p) {
  const int64_t i = global_index();
  if (i >= int64_t(p.images) * p.rows.size * p.columns.size * p.channels) return;
  const ImagePlace<I> at(I(i), p.rows.size, p.columns.size, p.channels);
  Vector<Sum<T>, V> sum{};
  for (I oh = p.rows.first(at.h); oh < p.rows.last(at.h); ++oh)
    for (I ow = p.columns.first(at.w); ow < p.columns.last(at.w); ++ow) {
      const auto g = load_terms<V>(
          dy + int64_t(((at.n * p.rows.out + oh) * p.columns.out + ow) * p.channels + at.c) * V);
      const Sum<T> size = Sum<T>(p.rows.window(oh).counted) * Sum<T>(p.columns.window(ow).counted);
      for (int v = 0; v < V; ++v) sum[v] += g[v] / size;
    }
  store_terms(dx + i * V, sum);
}

template <class T, int V, class I>
__global__ void upsample_forward(const T* x, T* y, I images, I height, I width, I channels,
                                 I scale) {
  const int64_t i = global_index();
  if (i >= int64_t(images) * height * scale * width * scale * channels) return;
  const ImagePlace<I> at(I(i), height * scale, width * scale, channels);
  store_vector(
      y + i * V,
      load_vector<V>(
          x +
          int64_t(((at.n * height + at.h / scale) * width + at.w / scale) * channels + at.c) * V));
}

template <class T, int V, class I>
__global__ void upsample_backward(const T* dy, T* dx, I images, I height, I width, I channels,
                                  I scale) {
  const int64_t i = global_index();
  if (i >= int64_t(images) * height * width * channels) return;
  const ImagePlace<I> at(I(i), height, width, channels);
  LongSum<Sum<T>> sum[V];
  for (I h = at.h * scale; h < (at.h + 1) * scale; ++h)
    for (I w = at.w * scale; w < (at.w + 1) * scale; ++w) {
      const auto g = load_terms<V>(
          dy + int64_t(((at.n * height * scale + h) * width * scale + w) * channels + at.c) * V);
      for (int v = 0; v < V; ++v) sum[v].add(g[v]);
    }
  Vector<Sum<T>, V> block;
  for (int v = 0; v < V; ++v) block[v] = sum[v].value();
  store_terms(dx + i * V, block);
}

// --- launches: body(V, index type) ---------------------------------------------------------------
struct Naive {
  static constexpr int vector = 1;
  template <class Body>
  static void run(int64_t, int64_t, bool, Body&& body) {
    body(std::integral_constant<int, 1>{}, int64_t{});
  }
};
/// V channels a thread.
template <int V>
struct Tuned {
  static constexpr int vector = V;
  template <class Body>
  static void run(int64_t elements, int64_t channels, bool aligned, Body&& body) {
    const bool vectors = channels % V == 0 && aligned, narrow = elements < (int64_t{1} << 30);
    if (vectors && narrow)
      body(std::integral_constant<int, V>{}, int32_t{});
    else if (narrow)
      body(std::integral_constant<int, 1>{}, int32_t{});
    else if (vectors)
      body(std::integral_constant<int, V>{}, int64_t{});
    else
      body(std::integral_constant<int, 1>{}, int64_t{});
  }
};

template <class I>
Pooling<I, Axis<I>> described(const PoolGeometry& g, int64_t channels) {
  return {{I(g.h), I(g.out_h), I(g.kernel.first), I(g.stride.first), I(g.padding.first),
           g.count_include_pad},
          {I(g.w), I(g.out_w), I(g.kernel.second), I(g.stride.second), I(g.padding.second),
           g.count_include_pad},
          I(g.n),
          I(channels)};
}

template <class I>
Pooling<I, AdaptiveAxis<I>> described(const Shape& x, const Attrs& attrs, int64_t channels) {
  const auto [out_h, out_w] = attrs.pair("output", 1);
  return {{I(x[1]), I(out_h)}, {I(x[2]), I(out_w)}, I(x[0]), I(channels)};
}

int64_t larger(const Tensor& a, const Tensor& b) { return std::max(a.numel(), b.numel()); }

template <class T, class Way>
void max_pool(const ForwardCall& call) {
  const Tensor &x = call.in[0], &y = call.out[0];
  const PoolGeometry g("max_pool2d", x.shape(), call.attrs);
  if (y.numel() == 0) return;
  int32_t* index = call.out[1].data<int32_t>();
  Way::run(larger(x, y), g.c, aligned_for(Way::vector, x.data<T>(), y.data<T>(), index),
           [&](auto v, auto i) {
             constexpr int V = decltype(v)::value;
             using I = decltype(i);
             LAUNCH((max_forward<T, V, I, Axis<I>>), blocks_for(y.numel() / V), 256, 0,
                    stream_of(x))
             (x.data<T>(), y.data<T>(), index, described<I>(g, g.c / V));
           });
}

template <class T, class Way>
void max_pool_gradient(const BackwardCall& call) {
  const Tensor &dy = call.dout[0], &dx = call.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  const PoolGeometry g("max_pool2d", dx.shape(), call.attrs);
  const int32_t* index = call.out[1].data<int32_t>();
  Way::run(larger(dx, dy), g.c, aligned_for(Way::vector, dx.data<T>(), dy.data<T>(), index),
           [&](auto v, auto i) {
             constexpr int V = decltype(v)::value;
             using I = decltype(i);
             LAUNCH((max_backward<T, V, I, Axis<I>>), blocks_for(dx.numel() / V), 256, 0,
                    stream_of(dy))
             (dy.data<T>(), index, dx.data<T>(), described<I>(g, g.c / V));
           });
}

template <class T, class Way>
void avg_pool(const ForwardCall& call) {
  const Tensor &x = call.in[0], &y = call.out[0];
  const PoolGeometry g("avg_pool2d", x.shape(), call.attrs);
  if (y.numel() == 0) return;
  Way::run(
      larger(x, y), g.c, aligned_for(Way::vector, x.data<T>(), y.data<T>()), [&](auto v, auto i) {
        constexpr int V = decltype(v)::value;
        using I = decltype(i);
        LAUNCH((average_forward<T, V, I, Axis<I>>), blocks_for(y.numel() / V), 256, 0, stream_of(x))
        (x.data<T>(), y.data<T>(), described<I>(g, g.c / V));
      });
}

template <class T, class Way>
void avg_pool_gradient(const BackwardCall& call) {
  const Tensor &dy = call.dout[0], &dx = call.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  const PoolGeometry g("avg_pool2d", dx.shape(), call.attrs);
  Way::run(larger(dx, dy), g.c, aligned_for(Way::vector, dx.data<T>(), dy.data<T>()),
           [&](auto v, auto i) {
             constexpr int V = decltype(v)::value;
             using I = decltype(i);
             LAUNCH((average_backward<T, V, I, Axis<I>>), blocks_for(dx.numel() / V), 256, 0,
                    stream_of(dy))
             (dy.data<T>(), dx.data<T>(), described<I>(g, g.c / V));
           });
}

template <class T, class Way>
void adaptive_pool(const ForwardCall& call) {
  const Tensor &x = call.in[0], &y = call.out[0];
  if (y.numel() == 0) return;
  Way::run(larger(x, y), x.size(3), aligned_for(Way::vector, x.data<T>(), y.data<T>()),
           [&](auto v, auto i) {
             constexpr int V = decltype(v)::value;
             using I = decltype(i);
             LAUNCH((average_forward<T, V, I, AdaptiveAxis<I>>), blocks_for(y.numel() / V), 256, 0,
                    stream_of(x))
             (x.data<T>(), y.data<T>(), described<I>(x.shape(), call.attrs, x.size(3) / V));
           });
}

template <class T, class Way>
void adaptive_pool_gradient(const BackwardCall& call) {
  const Tensor &dy = call.dout[0], &dx = call.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  Way::run(larger(dx, dy), dx.size(3), aligned_for(Way::vector, dx.data<T>(), dy.data<T>()),
           [&](auto v, auto i) {
             constexpr int V = decltype(v)::value;
             using I = decltype(i);
             LAUNCH((average_backward<T, V, I, AdaptiveAxis<I>>), blocks_for(dx.numel() / V), 256,
                    0, stream_of(dy))
             (dy.data<T>(), dx.data<T>(), described<I>(dx.shape(), call.attrs, dx.size(3) / V));
           });
}

template <class T, class Way>
void upsample(const ForwardCall& call) {
  const Tensor &x = call.in[0], &y = call.out[0];
  if (y.numel() == 0) return;
  Way::run(y.numel(), x.size(3), aligned_for(Way::vector, x.data<T>(), y.data<T>()),
           [&](auto v, auto i) {
             constexpr int V = decltype(v)::value;
             using I = decltype(i);
             LAUNCH((upsample_forward<T, V, I>), blocks_for(y.numel() / V), 256, 0, stream_of(x))
             (x.data<T>(), y.data<T>(), I(x.size(0)), I(x.size(1)), I(x.size(2)), I(x.size(3) / V),
              I(call.attrs.integer("scale", 2)));
           });
}

template <class T, class Way>
void upsample_gradient(const BackwardCall& call) {
  const Tensor &dy = call.dout[0], &dx = call.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  Way::run(dy.numel(), dx.size(3), aligned_for(Way::vector, dx.data<T>(), dy.data<T>()),
           [&](auto v, auto i) {
             constexpr int V = decltype(v)::value;
             using I = decltype(i);
             LAUNCH((upsample_backward<T, V, I>), blocks_for(dx.numel() / V), 256, 0, stream_of(dy))
             (dy.data<T>(), dx.data<T>(), I(dx.size(0)), I(dx.size(1)), I(dx.size(2)),
              I(dx.size(3) / V), I(call.attrs.integer("scale", 2)));
           });
}

#define LIMBECK_POOL(name, op, forward, backward)                                                \
  template <class T>                                                                             \
  void name##_naive(const ForwardCall& c) {                                                      \
    forward<T, Naive>(c);                                                                        \
  }                                                                                              \
  template <class T>                                                                             \
  void name##_naive_gradient(const BackwardCall& c) {                                            \
    backward<T, Naive>(c);                                                                       \
  }                                                                                              \
  const RegisterNaive name##_op(op, LIMBECK_TYPES(name##_naive, name##_naive_gradient));         \
  const RegisterTuned name##_tuned(op, forward<float, Tuned<4>>, backward<float, Tuned<4>>);     \
  const RegisterTuned name##_bf16(op, forward<bfloat16, Tuned<8>>, backward<bfloat16, Tuned<8>>, \
                                  nullptr, DType::bf16)

LIMBECK_POOL(maximum, "max_pool2d", max_pool, max_pool_gradient);
LIMBECK_POOL(average, "avg_pool2d", avg_pool, avg_pool_gradient);
LIMBECK_POOL(adaptive, "adaptive_avg_pool2d", adaptive_pool, adaptive_pool_gradient);
LIMBECK_POOL(nearest, "upsample_nearest", upsample, upsample_gradient);

}  // namespace
}  // namespace limbeck::cuda
