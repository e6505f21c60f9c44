// Vector kernels of pooling; see pooling_kernels.h. The vector runs along the channels; a block of
// B vectors walks over the window's pixels.
#include "ops_cpu/pooling_kernels.h"

#include "ops_cpu/simd/vector.h"

namespace limbeck::LIMBECK_ISA {
namespace {

typedef int32_t I __attribute__((vector_size(W * 4)));
typedef int32_t UnalignedI __attribute__((vector_size(W * 4), aligned(4), may_alias));

// Calls f(h * width + w) for each pixel of the window.
template <class F>
inline __attribute__((always_inline)) void each_pixel(const PoolWindow& k, F&& f) {
  for (int64_t h = k.h_begin; h < k.h_end; ++h)
    for (int64_t w = k.w_begin; w < k.w_end; ++w) f(h * k.width + w);
}

void maximum(const float* x, const PoolWindow& k, float* y, int32_t* index) {
  const auto first = int32_t(k.h_begin * k.width + k.w_begin);
  int64_t c = 0;
  for (; c + W <= k.channels; c += W) {
    V best = V{} - __builtin_inff();
    I where = I{} + first;
    each_pixel(k, [&](int64_t pixel) {
      const V v = load(x + pixel * k.channels + c);
      const I take = (v > best) | (v != v);
      best = take ? v : best;
      where = take ? I{} + int32_t(pixel) : where;
    });
    store(y + c, best);
    *reinterpret_cast<UnalignedI*>(index + c) = where;
  }
  for (; c < k.channels; ++c) {
    float best = -__builtin_inff();
    int32_t where = first;
    each_pixel(k, [&](int64_t pixel) {
      const float v = x[pixel * k.channels + c];
      if (v > best || v != v) best = v, where = int32_t(pixel);
    });
    y[c] = best;
    index[c] = where;
  }
}

template <bool overwrite>
void maximum_gradient_as(const float* dy, const int32_t* index, const PoolWindow& k, float* dx) {
  int64_t c = 0;
  for (; c + W <= k.channels; c += W) {
    const V g = load(dy + c);
    const I where = *reinterpret_cast<const UnalignedI*>(index + c);
    each_pixel(k, [&](int64_t pixel) {
      float* to = dx + pixel * k.channels + c;
      const V part = where == int32_t(pixel) ? g : V{};
      store(to, overwrite ? part : load(to) + part);
    });
  }
  for (; c < k.channels; ++c)
    each_pixel(k, [&](int64_t pixel) {
      float& to = dx[pixel * k.channels + c];
      const float part = index[c] == pixel ? dy[c] : 0.0f;
      to = overwrite ? part : to + part;
    });
}

void maximum_gradient(const float* dy, const int32_t* index, const PoolWindow& k, bool overwrite,
                      float* dx) {
  overwrite ? maximum_gradient_as<true>(dy, index, k, dx)
            : maximum_gradient_as<false>(dy, index, k, dx);
}

/// B vectors of channels.
template <int B>
struct Sums {
  V v[B] = {};
  void add(const float* x) {
    for (int b = 0; b < B; ++b) v[b] += load(x + b * W);
  }
  void add(const Sums& o) {
    for (int b = 0; b < B; ++b) v[b] += o.v[b];
  }
  void put(float scale, float* y) const {
    for (int b = 0; b < B; ++b) store(y + b * W, v[b] * scale);
  }
};
/// One channel.
struct Sum {
  float v = 0;
  void add(const float* x) { v += *x; }
  void add(const Sum& o) { v += o.v; }
  void put(float scale, float* y) const { *y = v * scale; }
};

constexpr int64_t longest = 1024;  // pixels of one float sum

/// Over windows of more pixels than a float sum may take, the sum of the sums of both halves.
template <class S>
inline __attribute__((always_inline)) S short_sum(const float* x, const PoolWindow& k) {
  S s;
  each_pixel(k, [&](int64_t pixel) { s.add(x + pixel * k.channels); });
  return s;
}
template <class S>
__attribute__((noinline)) S long_sum(const float* x, const PoolWindow& k) {
  const int64_t height = k.h_end - k.h_begin, width = k.w_end - k.w_begin;
  if (height * width <= longest) return short_sum<S>(x, k);
  PoolWindow first = k, second = k;
  if (height >= width)
    first.h_end = second.h_begin = k.h_begin + height / 2;
  else
    first.w_end = second.w_begin = k.w_begin + width / 2;
  S s = long_sum<S>(x, first);
  s.add(long_sum<S>(x, second));
  return s;
}

template <bool is_long>
void sum_as(const float* x, const PoolWindow& k, float scale, float* y) {
  const auto put = [&](auto start, int64_t c) __attribute__((always_inline)) {
    using S = decltype(start);
    (is_long ? long_sum<S>(x + c, k) : short_sum<S>(x + c, k)).put(scale, y + c);
  };
  int64_t c = 0;
  for (; c + 4 * W <= k.channels; c += 4 * W) put(Sums<4>{}, c);
  for (; c + W <= k.channels; c += W) put(Sums<1>{}, c);
  for (; c < k.channels; ++c) put(Sum{}, c);
}

void sum(const float* x, const PoolWindow& k, float scale, float* y) {
  const bool is_long = (k.h_end - k.h_begin) * (k.w_end - k.w_begin) > longest;
  is_long ? sum_as<true>(x, k, scale, y) : sum_as<false>(x, k, scale, y);
}

template <bool overwrite>
void spread_as(const float* dy, const PoolWindow& k, float scale, float* dx) {
  int64_t c = 0;
  for (; c + W <= k.channels; c += W) {
    const V g = load(dy + c) * scale;
    each_pixel(k, [&](int64_t pixel) {
      float* to = dx + pixel * k.channels + c;
      store(to, overwrite ? g : load(to) + g);
    });
  }
  for (; c < k.channels; ++c)
    each_pixel(k, [&](int64_t pixel) {
      float& to = dx[pixel * k.channels + c];
      to = overwrite ? dy[c] * scale : to + dy[c] * scale;
    });
}

void spread(const float* dy, const PoolWindow& k, float scale, bool overwrite, float* dx) {
  overwrite ? spread_as<true>(dy, k, scale, dx) : spread_as<false>(dy, k, scale, dx);
}

}  // namespace

const PoolingKernels& pooling_kernels() {
  static constexpr PoolingKernels table{maximum, maximum_gradient, sum, spread};
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
