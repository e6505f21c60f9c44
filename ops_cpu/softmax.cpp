// softmax, log_softmax and the two cross entropies, f32 on the CPU; formulas in ops/softmax.cpp and
// ops/losses.cpp. Rows [R, C] over the last axis; a thread takes whole rows. Forward reads 4 and
// writes 4 bytes an element, backward reads 8 and writes 4.
#include <algorithm>
#include <cmath>

#include "ops/cross_entropy.h"
#include "ops_cpu/parallel.h"
#include "ops_cpu/row_kernels.h"

namespace limbeck::cpu_softmax {
namespace {

/// f(offset, size) for every row; about 4096 elements make one part.
template <class F>
void each_row(const Tensor& t, F&& f) {
  const int64_t size = t.size(-1), rows = t.shape().numel(0, t.rank() - 1);
  if (size == 0) return;
  const int64_t group = std::max<int64_t>(1, 4096 / size);
  parallel_parts((rows + group - 1) / group, t.numel(), [&](int64_t part) {
    for (int64_t r = part * group; r < std::min(rows, (part + 1) * group); ++r) f(r * size, size);
  });
}

void softmax_forward(const ForwardCall& c) {
  const RowKernels& k = row_kernels();
  const float* x = c.in[0].data<float>();
  float* y = c.out[0].data<float>();
  each_row(c.in[0], [&](int64_t at, int64_t n) {
    const float sum = k.exp_shifted(1, x + at, k.largest(x + at, n), y + at, n);
    k.scale(1 / sum, y + at, y + at, n);
  });
}

void softmax_backward(const BackwardCall& c) {
  const RowKernels& k = row_kernels();
  const float *y = c.out[0].data<float>(), *dy = c.dout[0].data<float>();
  float* dx = c.din[0].data<float>();
  each_row(c.out[0], [&](int64_t at, int64_t n) {
    k.softmax_gradient(1, y + at, dy + at, k.dot(y + at, dy + at, n), dx + at, n);
  });
}

/// y = log softmax of one row; y also serves as the room for the exponentials.
void log_softmax_row(const RowKernels& k, const float* x, float* y, int64_t n) {
  const float largest = k.largest(x, n), sum = k.exp_shifted(1, x, largest, y, n);
  k.shift(-largest, x, y, n);  // first the difference, which is exact near the maximum
  k.shift(-std::log(sum), y, y, n);
}

void log_softmax_forward(const ForwardCall& c) {
  const RowKernels& k = row_kernels();
  const float* x = c.in[0].data<float>();
  float* y = c.out[0].data<float>();
  each_row(c.in[0], [&](int64_t at, int64_t n) { log_softmax_row(k, x + at, y + at, n); });
}

void log_softmax_backward(const BackwardCall& c) {
  const RowKernels& k = row_kernels();
  const float *y = c.out[0].data<float>(), *dy = c.dout[0].data<float>();
  float* dx = c.din[0].data<float>();
  each_row(c.out[0], [&](int64_t at, int64_t n) {
    k.minus_scaled_exp(k.total(dy + at, n), dy + at, y + at, dx + at, n);
  });
}

const float* optional(const Tensor& t) { return t.defined() ? t.data<float>() : nullptr; }

/// What the smoothed part of every target holds: sum_c w_c.
float total_weight(const RowKernels& k, const float* weight, int64_t classes) {
  return weight ? k.total(weight, classes) : static_cast<float>(classes);
}

void cross_entropy_forward(const ForwardCall& c) {
  const CrossEntropy s(c.attrs);
  const int64_t classes = c.in[0].size(1);
  const int64_t* labels = c.in[1].data<int64_t>();
  for (int64_t n = 0; n < c.in[0].size(0); ++n) s.check_label(n, labels[n], classes);
  const RowKernels& k = row_kernels();
  const auto smoothing = static_cast<float>(s.smoothing);
  const float *x = c.in[0].data<float>(), *weight = optional(c.in[2]);
  float *loss = c.out[0].data<float>(), *lp = c.out[1].data<float>(),
        *sample_weight = c.out[2].data<float>();
  if (classes == 0) c.out[0].fill(0), c.out[2].fill(0);  // all samples are ignored ones
  each_row(c.in[0], [&](int64_t at, int64_t n) {
    log_softmax_row(k, x + at, lp + at, n);
    const int64_t row = at / n, label = labels[row];
    const bool ignored = s.ignored(label);
    sample_weight[row] = ignored ? 0 : weight ? weight[label] : 1.0f;
    loss[row] = ignored ? 0 : -(1 - smoothing) * sample_weight[row] * lp[at + label];
    if (smoothing > 0 && !ignored)
      loss[row] -= smoothing / static_cast<float>(n) *
                   (weight ? k.dot(weight, lp + at, n) : k.total(lp + at, n));
  });
}

void cross_entropy_backward(const BackwardCall& c) {
  const CrossEntropy s(c.attrs);
  const RowKernels& k = row_kernels();
  const auto smoothing = static_cast<float>(s.smoothing);
  const int64_t* labels = c.in[1].data<int64_t>();
  const float *lp = c.out[1].data<float>(), *dloss = c.dout[0].data<float>(),
              *weight = optional(c.in[2]);
  float* dx = c.din[0].data<float>();
  const int64_t classes = c.out[1].size(1);
  const float spread = classes ? smoothing / static_cast<float>(classes) : 0,
              spread_mass = smoothing > 0 ? spread * total_weight(k, weight, classes) : 0;
  each_row(c.out[1], [&](int64_t at, int64_t n) {
    const int64_t label = labels[at / n];
    if (s.ignored(label)) {
      std::fill_n(dx + at, n, 0.0f);
      return;
    }
    const float d = dloss[at / n], own = (1 - smoothing) * (weight ? weight[label] : 1.0f);
    k.minus_scaled_exp(-d * (own + spread_mass), nullptr, lp + at, dx + at, n);
    if (smoothing > 0)
      weight ? k.add_scaled(-d * spread, weight, dx + at, n)
             : k.shift(-d * spread, dx + at, dx + at, n);
    dx[at + label] -= d * own;
  });
}

void soft_cross_entropy_forward(const ForwardCall& c) {
  const RowKernels& k = row_kernels();
  const float *x = c.in[0].data<float>(), *target = c.in[1].data<float>();
  float *loss = c.out[0].data<float>(), *lp = c.out[1].data<float>();
  if (c.in[0].size(1) == 0) c.out[0].fill(0);
  each_row(c.in[0], [&](int64_t at, int64_t n) {
    log_softmax_row(k, x + at, lp + at, n);
    loss[at / n] = -k.dot(target + at, lp + at, n);
  });
}

void soft_cross_entropy_backward(const BackwardCall& c) {
  const RowKernels& k = row_kernels();
  const float *target = c.in[1].data<float>(), *lp = c.out[1].data<float>(),
              *dloss = c.dout[0].data<float>();
  each_row(c.out[1], [&](int64_t at, int64_t n) {
    const float d = dloss[at / n];
    if (c.din[0].defined()) {
      float* dx = c.din[0].data<float>() + at;
      k.minus_scaled_exp(-d * k.total(target + at, n), nullptr, lp + at, dx, n);
      k.add_scaled(-d, target + at, dx, n);
    }
    if (c.din[1].defined()) k.scale(-d, lp + at, c.din[1].data<float>() + at, n);
  });
}

const RegisterKernel softmax(
    {.op = "softmax", .name = "cpu", .forward = softmax_forward, .backward = softmax_backward});
const RegisterKernel log_softmax({.op = "log_softmax",
                                  .name = "cpu",
                                  .forward = log_softmax_forward,
                                  .backward = log_softmax_backward});
const RegisterKernel cross_entropy({.op = "cross_entropy",
                                    .name = "cpu",
                                    .forward = cross_entropy_forward,
                                    .backward = cross_entropy_backward});
const RegisterKernel soft_cross_entropy({.op = "soft_cross_entropy",
                                         .name = "cpu",
                                         .forward = soft_cross_entropy_forward,
                                         .backward = soft_cross_entropy_backward});

}  // namespace
}  // namespace limbeck::cpu_softmax
