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

template <int B>
inline __attribute__((always_inline)) void sum_block(const float* x, const PoolWindow& k,
                                                     float scale, float* y) {
  V s[B] = {};
  each_pixel(k, [&](int64_t pixel) {
    for (int b = 0; b < B; ++b) s[b] += load(x + pixel * k.channels + b * W);
  });
  for (int b = 0; b < B; ++b) store(y + b * W, s[b] * scale);
}

void sum(const float* x, const PoolWindow& k, float scale, float* y) {
  int64_t c = 0;
  for (; c + 4 * W <= k.channels; c += 4 * W) sum_block<4>(x + c, k, scale, y + c);
  for (; c + W <= k.channels; c += W) sum_block<1>(x + c, k, scale, y + c);
  for (; c < k.channels; ++c) {
    float s = 0;
    each_pixel(k, [&](int64_t pixel) { s += x[pixel * k.channels + c]; });
    y[c] = s * scale;
  }
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
