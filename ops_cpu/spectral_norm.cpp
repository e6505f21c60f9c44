// spectral_norm and spectral_norm_fixed, f32 on the CPU; formulas in ops/spectral_norm.cpp. W is
// [rows, rest] in memory order. u W walks W in strips of columns, W v^T in rows: each result is one
// chain in a fixed order, whatever the number of threads. Bytes of a forward with one iteration:
// three readings and one writing of W; backward reads dW and W twice and writes W once.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/op.h"
#include "ops_cpu/parallel.h"
#include "ops_cpu/row_kernels.h"

namespace limbeck::cpu_spectral_norm {
namespace {

struct Matrix {
  const float* w;
  int64_t rows, rest;
  Matrix(const Tensor& t)
      : w(t.data<float>()), rows(t.size(0)), rest(t.shape().numel(1, t.rank())) {}
  int64_t size() const { return rows * rest; }
};

/// v = u W.
void times_left(const Matrix& m, const float* u, float* v) {
  constexpr int64_t strip = 256;
  parallel_parts((m.rest + strip - 1) / strip, m.size(), [&](int64_t part) {
    const int64_t begin = part * strip, count = std::min(strip, m.rest - begin);
    row_kernels().scale(u[0], m.w + begin, v + begin, count);
    for (int64_t r = 1; r < m.rows; ++r)
      row_kernels().add_scaled(u[r], m.w + r * m.rest + begin, v + begin, count);
  });
}

/// u = W v^T.
void times_right(const Matrix& m, const float* v, float* u) {
  parallel_parts(m.rows, m.size(),
                 [&](int64_t r) { u[r] = row_kernels().dot(m.w + r * m.rest, v, m.rest); });
}

/// a / max(|a|, eps) in place; returns |a|. The square is summed in double: rows may be long.
double normalise(float* a, int64_t n, double eps) {
  double square = 0;
  for (int64_t i = 0; i < n; ++i) square += static_cast<double>(a[i]) * a[i];
  const double norm = std::sqrt(square);
  row_kernels().scale(static_cast<float>(1 / std::max(norm, eps)), a, a, n);
  return norm;
}

void divide(const Matrix& m, double sigma, const Tensor& result, const Tensor& sigma_out) {
  sigma_out.data<float>()[0] = static_cast<float>(sigma);
  float* y = result.data<float>();
  parallel_parts(m.rows, m.size(), [&](int64_t r) {
    row_kernels().scale(static_cast<float>(1 / sigma), m.w + r * m.rest, y + r * m.rest, m.rest);
  });
}

double product(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

/// dW = (dw_sn - sum(dw_sn w_sn) u^T v) / sigma.
void gradient(const Matrix& g, const Matrix& w_sn, const float* u, const float* v, double sigma,
              const Tensor& dw) {
  std::vector<float> per_row(g.rows);
  parallel_parts(g.rows, g.size(), [&](int64_t r) {
    per_row[r] = row_kernels().dot(g.w + r * g.rest, w_sn.w + r * g.rest, g.rest);
  });
  double dot = 0;
  for (float p : per_row) dot += p;
  float* out = dw.data<float>();
  parallel_parts(g.rows, g.size(), [&](int64_t r) {
    row_kernels().mix(static_cast<float>(1 / sigma), g.w + r * g.rest,
                      static_cast<float>(-dot * u[r] / sigma), v, out + r * g.rest, g.rest);
  });
}

void iterated_forward(const ForwardCall& c) {
  const Matrix m(c.in[0]);
  const double eps = c.attrs.number("eps", 1e-12);
  float *u = c.out[1].data<float>(), *v = c.out[2].data<float>();
  std::copy_n(c.in[1].data<float>(), m.rows, u);
  double sigma = 0;
  for (int64_t n = 0; n < c.attrs.integer("training_iterations", 1); ++n) {
    times_left(m, u, v);
    normalise(v, m.rest, eps);
    times_right(m, v, u);
    // u' (W v^T) with u' = W v^T / max(|W v^T|, eps)
    const double norm = normalise(u, m.rows, eps);
    sigma = norm * norm / std::max(norm, eps);
  }
  divide(m, sigma, c.out[0], c.out[3]);
}

void iterated_backward(const BackwardCall& c) {
  gradient(c.dout[0], c.out[0], c.out[1].data<float>(), c.out[2].data<float>(), c.out[3].item(),
           c.din[0]);
}

void fixed_forward(const ForwardCall& c) {
  const Matrix m(c.in[0]);
  std::vector<float> wv(m.rows);
  times_right(m, c.in[2].data<float>(), wv.data());
  divide(m, product(c.in[1].data<float>(), wv.data(), m.rows), c.out[0], c.out[1]);
}

void fixed_backward(const BackwardCall& c) {
  gradient(c.dout[0], c.out[0], c.in[1].data<float>(), c.in[2].data<float>(), c.out[1].item(),
           c.din[0]);
}

const RegisterKernel iterated({.op = "spectral_norm",
                               .name = "cpu",
                               .forward = iterated_forward,
                               .backward = iterated_backward});
const RegisterKernel fixed({.op = "spectral_norm_fixed",
                            .name = "cpu",
                            .forward = fixed_forward,
                            .backward = fixed_backward});

}  // namespace
}  // namespace limbeck::cpu_spectral_norm
