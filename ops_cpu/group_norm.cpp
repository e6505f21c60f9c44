// Group normalisation, f32 on the CPU; formula in ops/group_norm.cpp. Samples in parallel; the sums
// over samples (dgamma, dbeta) are kept for each of at most 32 fixed runs of samples and added in
// order, in double. Bytes a value: forward 8, backward 12, while a sample fits into cache.
#include <vector>

#include "ops/op.h"
#include "ops_cpu/group_norm_kernels.h"
#include "ops_cpu/parallel.h"

namespace limbeck::cpu_group_norm {
namespace {

const float* optional(const Tensor& t) { return t.defined() ? t.data<float>() : nullptr; }

GroupNormRun run_of(const Shape& x, const Attrs& attrs, const Tensor& gamma) {
  GroupNormRun r{};
  r.pixels = x.numel(1, x.rank() - 1);
  r.groups = attrs.integer("groups", 1);
  r.width = x[-1] / r.groups;
  r.gamma = optional(gamma);
  r.eps = attrs.number("eps", 1e-5);
  return r;
}

void forward(const ForwardCall& c) {
  const GroupNormKernels& kernels = group_norm_kernels();
  const Shape& shape = c.in[0].shape();
  GroupNormRun base = run_of(shape, c.attrs, c.in[1]);
  base.beta = optional(c.in[2]);
  const int64_t size = base.pixels * base.groups * base.width;
  const float* x = c.in[0].data<float>();
  float *y = c.out[0].data<float>(), *mean = c.out[1].data<float>(),
        *invstd = c.out[2].data<float>();
  parallel_parts(shape[0], c.in[0].numel(), [&](int64_t n) {
    GroupNormRun r = base;
    r.x = x + n * size, r.y = y + n * size, r.mean = mean + n * r.groups,
    r.invstd = invstd + n * r.groups;
    kernels.forward(r);
  });
}

// to[c] = sum over the parts of partial [parts, 2, channels] in slot `which`.
void collect(const std::vector<double>& partial, int64_t parts, int64_t channels, int which,
             const Tensor& to) {
  if (!to.defined()) return;
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (int64_t part = 0; part < parts; ++part)
      sum += partial[size_t((part * 2 + which) * channels + c)];
    to.data<float>()[c] = float(sum);
  }
}

void backward(const BackwardCall& c) {
  const GroupNormKernels& kernels = group_norm_kernels();
  const Shape& shape = c.dout[0].shape();
  const GroupNormRun base = run_of(shape, c.attrs, c.in[1]);
  const int64_t channels = base.groups * base.width, size = base.pixels * channels,
                samples = shape[0];
  const int64_t run = std::max<int64_t>(1, (samples + 31) / 32), parts = (samples + run - 1) / run;
  std::vector<double> partial(size_t(parts * 2 * channels), 0.0);
  const float *x = c.in[0].data<float>(), *dy = c.dout[0].data<float>();
  float *mean = c.out[1].data<float>(), *invstd = c.out[2].data<float>(),
        *dx = c.din[0].defined() ? c.din[0].data<float>() : nullptr;
  parallel_parts(parts, c.dout[0].numel(), [&](int64_t part) {
    std::vector<float> room(size_t(2 * base.width));
    for (int64_t n = part * run; n < std::min(samples, (part + 1) * run); ++n) {
      GroupNormRun r = base;
      r.x = x + n * size, r.dy = dy + n * size, r.dx = dx ? dx + n * size : nullptr;
      r.mean = mean + n * r.groups, r.invstd = invstd + n * r.groups;
      r.dgamma = partial.data() + part * 2 * channels;
      r.dbeta = r.dgamma + channels;
      r.room = room.data();
      kernels.gradient(r);
    }
  });
  collect(partial, parts, channels, 0, c.din[1]);
  collect(partial, parts, channels, 1, c.din[2]);
}

const RegisterKernel group_norm(
    {.op = "group_norm", .name = "cpu", .forward = forward, .backward = backward});

}  // namespace
}  // namespace limbeck::cpu_group_norm
