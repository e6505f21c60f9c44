// Vector kernels of batch normalisation; see batch_norm_kernels.h for what each computes. A block
// of B vectors of the period keeps its parameters and sums in registers while it walks down the
// rows; sums run in U independent chains per vector, which hides the latency of the addition and
// shortens each float sum.
#include "ops_cpu/batch_norm_kernels.h"

#include "ops_cpu/simd/vector.h"

namespace limbeck::LIMBECK_ISA {
namespace {

constexpr int chains = W == 16 ? 8 : 4;

struct Rows {
  int64_t whole, rest;  // full periods; elements after them
  explicit Rows(const BatchNormRun& r) : whole(r.n / r.period), rest(r.n % r.period) {}
};

template <int B>
struct Vectors {
  static constexpr int value = B;
};

// Calls block(offset, Vectors<B>) for blocks of 4, 2 and 1 vectors that cover the period.
template <class F>
inline __attribute__((always_inline)) void each_block(int64_t period, F&& block) {
  int64_t o = 0;
  for (; o + 4 * W <= period; o += 4 * W) block(o, Vectors<4>{});
  for (; o + 2 * W <= period; o += 2 * W) block(o, Vectors<2>{});
  for (; o < period; o += W) block(o, Vectors<1>{});
}

// Adds the U chains of each of B vectors and stores them.
template <int B, int U>
inline __attribute__((always_inline)) void store_sums(const V (&a)[U][B], float* to) {
  for (int b = 0; b < B; ++b) {
    V total = a[0][b];
    for (int u = 1; u < U; ++u) total += a[u][b];
    store(to + b * W, total);
  }
}

template <int B>
void statistics_block(const BatchNormRun& r, int64_t o, int64_t rows, float* sum, float* square) {
  constexpr int U = chains / B;
  V shift[B], s[U][B] = {}, q[U][B] = {};
  for (int b = 0; b < B; ++b) shift[b] = load(r.mean + o + b * W);
  const float* x = r.x + o;
  int64_t i = 0;
  for (; i + U <= rows; i += U)
    for (int u = 0; u < U; ++u, x += r.period)
      for (int b = 0; b < B; ++b) {
        const V d = load(x + b * W) - shift[b];
        s[u][b] += d;
        q[u][b] += d * d;
      }
  for (; i < rows; ++i, x += r.period)
    for (int b = 0; b < B; ++b) {
      const V d = load(x + b * W) - shift[b];
      s[0][b] += d;
      q[0][b] += d * d;
    }
  store_sums<B, U>(s, sum + o);
  store_sums<B, U>(q, square + o);
}

/// Whether square - sum^2 / rows loses more than five bits: with an outlier as the shift.
template <class T>
inline __attribute__((always_inline)) auto far_off(T sum, T square, float inverse_rows) {
  return (square - sum * sum * inverse_rows) * 32.0f < square;
}

bool well_centred(const BatchNormRun& r, int64_t whole, int64_t rest, const float* sum,
                  const float* square) {
  bool good = true;
  for (int64_t e = 0; e < rest; ++e)
    good = good && !far_off(sum[e], square[e], 1 / float(whole + 1));
  if (whole == 0) return good;
  auto bad = V{} < V{};
  int64_t o = rest;
  for (; o + W <= r.period; o += W)
    bad |= far_off(load(sum + o), load(square + o), 1 / float(whole));
  for (; o < r.period; ++o) good = good && !far_off(sum[o], square[o], 1 / float(whole));
  for (int64_t i = 0; i < W; ++i) good = good && bad[i] == 0;
  return good;
}

bool statistics(const BatchNormRun& r, float* sum, float* square) {
  const Rows rows(r);
  each_block(r.period, [&](int64_t o, auto b) {
    statistics_block<decltype(b)::value>(r, o, rows.whole, sum, square);
  });
  const float* x = r.x + rows.whole * r.period;
  for (int64_t e = 0; e < rows.rest; ++e) {
    const float d = x[e] - r.mean[e];
    sum[e] += d;
    square[e] += d * d;
  }
  return well_centred(r, rows.whole, rows.rest, sum, square);
}

// The forward's value before the activation; gradients recompute it from the same expression, so
// that their mask agrees with y.
template <class T>
inline __attribute__((always_inline)) T normalised(T x, T mean, T scale, T beta) {
  return (x - mean) * scale + beta;
}

template <int B, bool relu, bool residual>
void apply_block(const BatchNormRun& r, int64_t o, int64_t rows) {
  V mean[B], scale[B], beta[B];
  for (int b = 0; b < B; ++b)
    mean[b] = load(r.mean + o + b * W), scale[b] = load(r.scale + o + b * W),
    beta[b] = load(r.beta + o + b * W);
  const float* x = r.x + o;
  const float* add = residual ? r.residual + o : nullptr;
  float* y = r.y + o;
  for (int64_t i = 0; i < rows; ++i, x += r.period, y += r.period) {
    for (int b = 0; b < B; ++b) {
      V v = normalised(load(x + b * W), mean[b], scale[b], beta[b]);
      if constexpr (residual) v += load(add + b * W);
      if constexpr (relu) v = where_positive(v, v);
      store(y + b * W, v);
    }
    if constexpr (residual) add += r.period;
  }
}

template <bool relu, bool residual>
void apply_as(const BatchNormRun& r) {
  const Rows rows(r);
  each_block(r.period, [&](int64_t o, auto b) {
    apply_block<decltype(b)::value, relu, residual>(r, o, rows.whole);
  });
  const int64_t start = rows.whole * r.period;
  for (int64_t e = 0; e < rows.rest; ++e) {
    float v = normalised(r.x[start + e], r.mean[e], r.scale[e], r.beta[e]);
    if constexpr (residual) v += r.residual[start + e];
    r.y[start + e] = relu && v <= 0 ? 0.0f : v;
  }
}

void apply(const BatchNormRun& r) {
  if (r.relu)
    r.residual ? apply_as<true, true>(r) : apply_as<true, false>(r);
  else
    r.residual ? apply_as<false, true>(r) : apply_as<false, false>(r);
}

// dy behind the mask, for one vector (or one float) at element e of the run and place p of the
// period.
template <Mask mask>
inline __attribute__((always_inline)) V masked(V dy, V x, const float* y, V mean, V scale, V beta) {
  if constexpr (mask == Mask::from_y) return where_positive(load(y), dy);
  if constexpr (mask == Mask::from_x) return where_positive(normalised(x, mean, scale, beta), dy);
  return dy;
}
template <Mask mask>
inline __attribute__((always_inline)) float masked_float(const BatchNormRun& r, int64_t at,
                                                         int64_t p) {
  if constexpr (mask == Mask::from_y) return r.y[at] <= 0 ? 0.0f : r.dy[at];
  if constexpr (mask == Mask::from_x)
    return normalised(r.x[at], r.mean[p], r.scale[p], r.beta[p]) <= 0 ? 0.0f : r.dy[at];
  return r.dy[at];
}

template <int B, Mask mask, bool writes>
void reduce_block(const BatchNormRun& r, int64_t o, int64_t rows, float* sum_g, float* sum_gx) {
  constexpr int U = chains / B;
  V mean[B], scale[B], beta[B], s[U][B] = {}, t[U][B] = {};
  for (int b = 0; b < B; ++b)
    mean[b] = load(r.mean + o + b * W), scale[b] = load(r.scale + o + b * W),
    beta[b] = load(r.beta + o + b * W);
  const auto row = [&](int64_t i, V * ss, V * tt) __attribute__((always_inline)) {
    const int64_t at = i * r.period + o;
    for (int b = 0; b < B; ++b) {
      const V x = load(r.x + at + b * W);
      const V g =
          masked<mask>(load(r.dy + at + b * W), x, r.y + at + b * W, mean[b], scale[b], beta[b]);
      if constexpr (writes) store(r.dresidual + at + b * W, g);
      ss[b] += g;
      tt[b] += g * (x - mean[b]);
    }
  };
  int64_t i = 0;
  for (; i + U <= rows; i += U)
    for (int u = 0; u < U; ++u) row(i + u, s[u], t[u]);
  for (; i < rows; ++i) row(i, s[0], t[0]);
  store_sums<B, U>(s, sum_g + o);
  store_sums<B, U>(t, sum_gx + o);
}

template <Mask mask, bool writes>
void reduce_as(const BatchNormRun& r, float* sum_g, float* sum_gx) {
  const Rows rows(r);
  each_block(r.period, [&](int64_t o, auto b) {
    reduce_block<decltype(b)::value, mask, writes>(r, o, rows.whole, sum_g, sum_gx);
  });
  const int64_t start = rows.whole * r.period;
  for (int64_t e = 0; e < rows.rest; ++e) {
    const float g = masked_float<mask>(r, start + e, e);
    if constexpr (writes) r.dresidual[start + e] = g;
    sum_g[e] += g;
    sum_gx[e] += g * (r.x[start + e] - r.mean[e]);
  }
}

template <Mask mask>
void reduce_with(const BatchNormRun& r, float* sum_g, float* sum_gx) {
  r.dresidual ? reduce_as<mask, true>(r, sum_g, sum_gx) : reduce_as<mask, false>(r, sum_g, sum_gx);
}

void reduce(const BatchNormRun& r, float* sum_g, float* sum_gx) {
  switch (r.mask) {
    case Mask::none: return reduce_with<Mask::none>(r, sum_g, sum_gx);
    case Mask::from_y: return reduce_with<Mask::from_y>(r, sum_g, sum_gx);
    case Mask::from_x: return reduce_with<Mask::from_x>(r, sum_g, sum_gx);
  }
}

template <int B, Mask mask>
void gradient_block(const BatchNormRun& r, int64_t o, int64_t rows) {
  V mean[B], scale[B], beta[B], slope[B], offset[B];
  for (int b = 0; b < B; ++b) {
    mean[b] = load(r.mean + o + b * W), scale[b] = load(r.scale + o + b * W),
    beta[b] = load(r.beta + o + b * W);
    slope[b] = load(r.slope + o + b * W), offset[b] = load(r.offset + o + b * W);
  }
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t at = i * r.period + o;
    for (int b = 0; b < B; ++b) {
      const V x = load(r.x + at + b * W);
      const V g =
          masked<mask>(load(r.dy + at + b * W), x, r.y + at + b * W, mean[b], scale[b], beta[b]);
      store(r.dx + at + b * W, scale[b] * g - (x - mean[b]) * slope[b] - offset[b]);
    }
  }
}

template <Mask mask>
void gradient_with(const BatchNormRun& r) {
  const Rows rows(r);
  each_block(r.period, [&](int64_t o, auto b) {
    gradient_block<decltype(b)::value, mask>(r, o, rows.whole);
  });
  const int64_t start = rows.whole * r.period;
  for (int64_t e = 0; e < rows.rest; ++e) {
    const float g = masked_float<mask>(r, start + e, e);
    r.dx[start + e] = r.scale[e] * g - (r.x[start + e] - r.mean[e]) * r.slope[e] - r.offset[e];
  }
}

void gradient(const BatchNormRun& r) {
  switch (r.mask) {
    case Mask::none: return gradient_with<Mask::none>(r);
    case Mask::from_y: return gradient_with<Mask::from_y>(r);
    case Mask::from_x: return gradient_with<Mask::from_x>(r);
  }
}

}  // namespace

const BatchNormKernels& batch_norm_kernels() {
  static constexpr BatchNormKernels table{W, statistics, apply, reduce, gradient};
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
