// l2_normalize in f32 on the CPU: y = x / max(|x|, eps) over the last axis; formulas in
// ops/group_norm.cpp. Each row is read twice (forward) or three times (backward), the later times
// from the first-level cache. Sums of squares that leave the comfortable range of a float are
// summed in double.
#include <algorithm>
#include <cmath>

#include "ops/op.h"
#include "ops_cpu/parallel.h"
#include "ops_cpu/row_kernels.h"

namespace limbeck::cpu_l2_normalize {
namespace {

double norm_of(const float* x, int64_t n) {
  const float squares = row_kernels().dot(x, x, n);
  if (squares > 1e-30f && squares < 1e36f) return std::sqrt(double(squares));
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double(x[i]) * x[i];
  return std::sqrt(sum);
}

/// Calls f(first element, norm, max(norm, eps)) for each row of x.
template <class F>
void each_row(const Tensor& x, const Attrs& attrs, F&& f) {
  const int64_t width = x.size(-1), rows = width ? x.numel() / width : 0;
  if (rows == 0) return;
  const double eps = attrs.number("eps", 1e-12);
  const int64_t per_part = std::max<int64_t>(1, 16384 / width);
  parallel_parts((rows + per_part - 1) / per_part, x.numel(), [&](int64_t part) {
    for (int64_t r = part * per_part; r < std::min(rows, (part + 1) * per_part); ++r) {
      const double norm = norm_of(x.data<float>() + r * width, width);
      f(r * width, norm, std::max(norm, eps));
    }
  });
}

void forward(const ForwardCall& c) {
  const float* const x = c.in[0].data<float>();
  float* const y = c.out[0].data<float>();
  const int64_t width = c.in[0].size(-1);
  each_row(c.in[0], c.attrs, [&](int64_t at, double, double scale) {
    if (scale > 1e-30) return row_kernels().scale(float(1 / scale), x + at, y + at, width);
    for (int64_t i = 0; i < width; ++i)
      y[at + i] = float(x[at + i] / scale);  // 1 / scale may be no float
  });
}

void backward(const BackwardCall& c) {
  if (!c.din[0].defined()) return;
  const float *const x = c.in[0].data<float>(), *const dy = c.dout[0].data<float>();
  float* const dx = c.din[0].data<float>();
  const int64_t width = c.in[0].size(-1);
  const double eps = c.attrs.number("eps", 1e-12);
  each_row(c.in[0], c.attrs, [&](int64_t at, double norm, double scale) {
    const double along =
        norm >= eps ? double(row_kernels().dot(dy + at, x + at, width)) / scale : 0.0;
    if (scale > 1e-15)
      return row_kernels().mix(float(1 / scale), dy + at, float(-along / scale / scale), x + at,
                               dx + at, width);
    for (int64_t i = 0; i < width; ++i)
      dx[at + i] = float((dy[at + i] - along * x[at + i] / scale) / scale);
  });
}

// The gradient of a row of one element is exactly zero: short rows keep the reference's double
// precision.
const RegisterKernel kernel({.op = "l2_normalize",
                             .name = "cpu",
                             .forward = forward,
                             .backward = backward,
                             .supports = [](const Tensors& in, const Attrs&) {
                               return in[0].size(-1) >= 4;
                             }});

}  // namespace
}  // namespace limbeck::cpu_l2_normalize
