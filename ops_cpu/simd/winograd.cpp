// The transforms of F(4x4, 3x3) with the interpolation points 0, +-a, +-b, infinity; a = 5/8 and b
// = 3/2 are exact in binary and keep the matrices' entries near 1, which costs less precision than
// the textbook's 1 and 2. Each two-dimensional transform is the one-dimensional one along columns,
// then along rows; 12 multiply-adds per one-dimensional B or A.
#include "ops_cpu/winograd_kernels.h"

#include "ops_cpu/simd/vector.h"

namespace limbeck::LIMBECK_ISA {
namespace {

constexpr float a = 0.625f, b = 1.5f, a2 = a * a, b2 = b * b, a3 = a2 * a, b3 = b2 * b,
                ab = a2 * b2, sum2 = a2 + b2;
// Rows of G: (1, p, p^2) / product of the distances of p to the other points.
constexpr float g0 = 1 / ab, ga = 1 / (2 * a2 * (a2 - b2)), gb = 1 / (2 * b2 * (b2 - a2));

/// B^T: rows are the coefficients of the products of (x - p) over the other points.
inline __attribute__((always_inline)) void transform_input(const V (&d)[6], V (&t)[6]) {
  t[0] = d[4] + ab * d[0] - sum2 * d[2];
  t[5] = d[5] + ab * d[1] - sum2 * d[3];
  const V even_a = d[4] - b2 * d[2], odd_a = d[3] - b2 * d[1], even_b = d[4] - a2 * d[2],
          odd_b = d[3] - a2 * d[1];
  t[1] = even_a + a * odd_a;
  t[2] = even_a - a * odd_a;
  t[3] = even_b + b * odd_b;
  t[4] = even_b - b * odd_b;
}

/// A^T: row i holds the i-th powers of the points.
inline __attribute__((always_inline)) void transform_output(const V (&m)[6], V (&y)[4]) {
  const V sum_a = m[1] + m[2], difference_a = m[1] - m[2], sum_b = m[3] + m[4],
          difference_b = m[3] - m[4];
  y[0] = m[0] + sum_a + sum_b;
  y[1] = a * difference_a + b * difference_b;
  y[2] = a2 * sum_a + b2 * sum_b;
  y[3] = m[5] + a3 * difference_a + b3 * difference_b;
}

/// A.
inline __attribute__((always_inline)) void transform_output_gradient(const V (&d)[4], V (&t)[6]) {
  const V even_a = d[0] + a2 * d[2], odd_a = d[1] + a2 * d[3], even_b = d[0] + b2 * d[2],
          odd_b = d[1] + b2 * d[3];
  t[0] = d[0];
  t[1] = even_a + a * odd_a;
  t[2] = even_a - a * odd_a;
  t[3] = even_b + b * odd_b;
  t[4] = even_b - b * odd_b;
  t[5] = d[3];
}

/// G.
inline __attribute__((always_inline)) void transform_filter(const V (&g)[3], V (&t)[6]) {
  const V even_a = ga * (g[0] + a2 * g[2]), odd_a = (ga * a) * g[1],
          even_b = gb * (g[0] + b2 * g[2]), odd_b = (gb * b) * g[1];
  t[0] = g0 * g[0];
  t[1] = even_a + odd_a;
  t[2] = even_a - odd_a;
  t[3] = even_b + odd_b;
  t[4] = even_b - odd_b;
  t[5] = g[2];
}

/// G^T.
inline __attribute__((always_inline)) void transform_filter_gradient(const V (&s)[6], V (&g)[3]) {
  const V sum_a = ga * (s[1] + s[2]), difference_a = (ga * a) * (s[1] - s[2]);
  const V sum_b = gb * (s[3] + s[4]), difference_b = (gb * b) * (s[3] - s[4]);
  g[0] = g0 * s[0] + sum_a + sum_b;
  g[1] = difference_a + difference_b;
  g[2] = s[5] + a2 * sum_a + b2 * sum_b;
}

/// In x In points by `get(i)`, transformed along both axes to Out x Out points given to `put(i,
/// v)`.
template <int In, int Out, auto Transform, class Get, class Put>
inline __attribute__((always_inline)) void both_axes(Get get, Put put) {
  V half[Out][In];
#pragma GCC unroll 6
  for (int x = 0; x < In; ++x) {
    V column[In], t[Out];
#pragma GCC unroll 6
    for (int y = 0; y < In; ++y) column[y] = get(y * In + x);
    Transform(column, t);
#pragma GCC unroll 6
    for (int y = 0; y < Out; ++y) half[y][x] = t[y];
  }
#pragma GCC unroll 6
  for (int y = 0; y < Out; ++y) {
    V t[Out];
    Transform(half[y], t);
#pragma GCC unroll 6
    for (int x = 0; x < Out; ++x) put(y * Out + x, t[x]);
  }
}

/// Reads In x In pixels of all channels, writes 36 points.
template <int In, auto Transform>
inline __attribute__((always_inline)) void pixels_to_points(const float* const* d, int64_t channels,
                                                            float* out, int64_t stride) {
  int64_t c = 0;
  const auto put = [&](int i, V v) { store(out + i * stride + c, v); };
  for (; c + W <= channels; c += W)
    both_axes<In, 6, Transform>([&](int i) { return load(d[i] + c); }, put);
  if (c < channels)
    both_axes<In, 6, Transform>([&](int i) { return load_some(d[i] + c, channels - c); }, put);
}

void input(const float* const* d, int64_t channels, float* out, int64_t stride) {
  pixels_to_points<6, transform_input>(d, channels, out, stride);
}

void output_gradient(const float* const* dy, int64_t channels, float* out, int64_t stride) {
  pixels_to_points<4, transform_output_gradient>(dy, channels, out, stride);
}

void output(const float* m, int64_t stride, int64_t channels, const float* bias, float* const* y) {
  int64_t c = 0;
  const auto get = [&](int i) { return load(m + i * stride + c); };
  for (; c + W <= channels; c += W) {
    const V first = bias ? load(bias + c) : V{};
    both_axes<6, 4, transform_output>(get, [&](int i, V v) { store(y[i] + c, v + first); });
  }
  if (c == channels) return;
  const V first = bias ? load(bias + c) : V{};
  both_axes<6, 4, transform_output>(
      get, [&](int i, V v) { store_some(y[i] + c, v + first, channels - c); });
}

void filter(const float* g, int64_t tap_stride, int64_t count, float* u, int64_t stride) {
  for (int64_t c = 0; c < count; c += W)
    both_axes<3, 6, transform_filter>([&](int i) { return load(g + i * tap_stride + c); },
                                      [&](int i, V v) { store(u + i * stride + c, v); });
}

void filter_gradient(const float* s, int64_t stride, int64_t count, float* dg, int64_t tap_stride) {
  for (int64_t c = 0; c < count; c += W)
    both_axes<6, 3, transform_filter_gradient>(
        [&](int i) { return load(s + i * stride + c); },
        [&](int i, V v) { store(dg + i * tap_stride + c, v); });
}

}  // namespace

const WinogradKernels& winograd_kernels() {
  static constexpr WinogradKernels table{input, output, filter, output_gradient, filter_gradient};
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
