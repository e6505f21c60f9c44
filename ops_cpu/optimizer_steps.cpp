// In-place optimiser steps, f32 on the CPU; formulas in ops/optimizer_steps.cpp. Bytes an element:
// sgd 20, adam 28, averages 12.
#include <cmath>

#include "ops/op.h"
#include "ops_cpu/optimizer_kernels.h"
#include "ops_cpu/parallel.h"

namespace limbeck::cpu_optimizer_steps {
namespace {

constexpr int64_t grain = 16384;

void sgd(const ForwardCall& c) {
  const OptimizerKernels& kernels = optimizer_kernels();
  const SgdRun run{c.in[0].data<float>(),
                   c.in[1].data<float>(),
                   c.in[2].data<float>(),
                   c.in[3].data<float>()[0],
                   float(c.attrs.number("momentum", 0)),
                   float(c.attrs.number("weight_decay", 0)),
                   c.attrs.flag("nesterov"),
                   c.attrs.flag("first")};
  parallel_ranges(c.in[0].numel(), grain,
                  [&](int64_t begin, int64_t end) { kernels.sgd(run, begin, end); });
}

void adam(const ForwardCall& c) {
  const OptimizerKernels& kernels = optimizer_kernels();
  const double b1 = c.attrs.number("beta1", 0.9), b2 = c.attrs.number("beta2", 0.999);
  const double lr = c.in[4].data<float>()[0], step = c.in[4].data<float>()[1];
  const double decay = c.attrs.number("weight_decay", 0);
  const bool decoupled = c.attrs.flag("decoupled");
  const AdamRun run{c.in[0].data<float>(),
                    c.in[1].data<float>(),
                    c.in[2].data<float>(),
                    c.in[3].data<float>(),
                    float(b1),
                    float(b2),
                    float(decoupled ? 0 : decay),
                    float(1 - b1),
                    float(1 - b2),
                    float(lr / (1 - std::pow(b1, step))),
                    float(1 / std::sqrt(1 - std::pow(b2, step))),
                    float(c.attrs.number("eps", 1e-8)),
                    float(decoupled ? 1 - lr * decay : 1)};
  parallel_ranges(c.in[0].numel(), grain,
                  [&](int64_t begin, int64_t end) { kernels.adam(run, begin, end); });
}

void ema(const ForwardCall& c) {
  const OptimizerKernels& kernels = optimizer_kernels();
  float* target = c.in[0].data<float>();
  const float *source = c.in[1].data<float>(), decay = c.in[2].data<float>()[0];
  parallel_ranges(c.in[0].numel(), grain, [&](int64_t begin, int64_t end) {
    kernels.blend(target, source, decay, 1 - decay, begin, end);
  });
}

const RegisterKernel sgd_kernel({.op = "sgd_step", .name = "cpu", .forward = sgd});
const RegisterKernel adam_kernel({.op = "adam_step", .name = "cpu", .forward = adam});
const RegisterKernel ema_kernel({.op = "ema_step", .name = "cpu", .forward = ema});

}  // namespace
}  // namespace limbeck::cpu_optimizer_steps
