// Vector kernels on rows; see row_kernels.h. A row's last, incomplete vector is filled up with
// zeros, so that every element sees the same arithmetic wherever it stands; sums keep four chains
// per lane and add them in a fixed order.
#include "ops_cpu/row_kernels.h"

#include "ops_cpu/simd/math.h"

namespace limbeck::LIMBECK_ISA {
namespace {

static inline float add_lanes(V v) {
  float s = 0;
  for (int64_t i = 0; i < W; ++i) s += v[i];
  return s;
}

/// y[i] = f(x[i]) for every vector of the row.
template <class F>
static inline void map(const float* x, float* y, int64_t n, F f) {
  int64_t i = 0;
  for (; i + W <= n; i += W) store(y + i, f(load(x + i)));
  if (i < n) store_some(y + i, f(load_some(x + i, n - i)), n - i);
}
template <class F>
static inline void map(const float* a, const float* b, float* y, int64_t n, F f) {
  int64_t i = 0;
  for (; i + W <= n; i += W) store(y + i, f(load(a + i), load(b + i)));
  if (i < n) store_some(y + i, f(load_some(a + i, n - i), load_some(b + i, n - i)), n - i);
}

/// Float sums of at most 1024 vectors each; their sum runs in double.
template <class F>
static inline float in_blocks(int64_t n, F&& block) {
  constexpr int64_t longest = 1024 * W;
  if (n <= longest) return block(0, n);
  double sum = 0;
  for (int64_t i = 0; i < n; i += longest) sum += block(i, n - i < longest ? n - i : longest);
  return static_cast<float>(sum);
}

float dot_of_block(const float* a, const float* b, int64_t n) {
  V s[4] = {};
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W)
    for (int k = 0; k < 4; ++k) s[k] += load(a + i + k * W) * load(b + i + k * W);
  for (; i + W <= n; i += W) s[0] += load(a + i) * load(b + i);
  if (i < n) s[1] += load_some(a + i, n - i) * load_some(b + i, n - i);
  return add_lanes((s[0] + s[1]) + (s[2] + s[3]));
}

float dot(const float* a, const float* b, int64_t n) {
  return in_blocks(n, [=](int64_t i, int64_t m) { return dot_of_block(a + i, b + i, m); });
}

float total_of_block(const float* a, int64_t n) {
  V s[4] = {};
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W)
    for (int k = 0; k < 4; ++k) s[k] += load(a + i + k * W);
  for (; i + W <= n; i += W) s[0] += load(a + i);
  if (i < n) s[1] += load_some(a + i, n - i);
  return add_lanes((s[0] + s[1]) + (s[2] + s[3]));
}

float total(const float* a, int64_t n) {
  return in_blocks(n, [=](int64_t i, int64_t m) { return total_of_block(a + i, m); });
}

/// NaN wins, as in the definition: a row with NaN has no softmax.
float largest(const float* a, int64_t n) {
  V m = splat(-__builtin_inff());
  int64_t i = 0;
  for (; i + W <= n; i += W) {
    const V x = load(a + i);
    m = x > m || x != x ? x : m;
  }
  float best = -__builtin_inff();
  for (int64_t k = 0; k < W; ++k) best = m[k] > best || m[k] != m[k] ? m[k] : best;
  for (; i < n; ++i) best = a[i] > best || a[i] != a[i] ? a[i] : best;
  return best;
}

void scale(float s, const float* x, float* y, int64_t n) {
  map(x, y, n, [s](V v) { return v * s; });
}
void add_scaled(float s, const float* x, float* y, int64_t n) {
  map(x, y, y, n, [s](V v, V sum) { return sum + v * s; });
}
void mix(float a, const float* x, float b, const float* z, float* y, int64_t n) {
  map(x, z, y, n, [a, b](V v, V w) { return v * a + w * b; });
}
void shift(float s, const float* x, float* y, int64_t n) {
  map(x, y, n, [s](V v) { return v + s; });
}

float exp_block(float s, const float* x, float shift, float* y, int64_t n) {
  V sum = {};
  int64_t i = 0;
  for (; i + W <= n; i += W) {
    const V e = exp(load(x + i) * s - shift);
    store(y + i, e);
    sum += e;
  }
  float rest = 0;
  if (i < n) {
    const V e = exp(load_some(x + i, n - i) * s - shift);
    store_some(y + i, e, n - i);
    for (int64_t k = 0; k < n - i; ++k) rest += e[k];
  }
  return add_lanes(sum) + rest;
}

float exp_shifted(float s, const float* x, float shift, float* y, int64_t n) {
  return in_blocks(n, [=](int64_t i, int64_t m) { return exp_block(s, x + i, shift, y + i, m); });
}

void softmax_gradient(float s, const float* y, const float* dy, float mean, float* dx, int64_t n) {
  map(y, dy, dx, n, [s, mean](V p, V g) { return p * (g - mean) * s; });
}
void minus_scaled_exp(float s, const float* dy, const float* y, float* dx, int64_t n) {
  if (dy)
    map(dy, y, dx, n, [s](V g, V v) { return g - exp(v) * s; });
  else
    map(y, dx, n, [s](V v) { return exp(v) * -s; });
}

}  // namespace

const RowKernels& row_kernels() {
  static constexpr RowKernels table{
      dot,   total,       largest,          scale,           add_scaled, mix,
      shift, exp_shifted, softmax_gradient, minus_scaled_exp};
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
