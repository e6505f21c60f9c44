// Element-wise functions of one tensor, f32 on the CPU; formulas in ops/unary.h. Forward 8 bytes
// an element, backward 8 or 12.
#include "ops/op.h"
#include "ops_cpu/elementwise_kernels.h"
#include "ops_cpu/parallel.h"

namespace limbeck::cpu_unary {
namespace {

constexpr int64_t grain = 16384;

template <class F>
void forward(const ForwardCall& c) {
  const UnaryKernel kernel = unary_kernel<F>();
  const unary::Settings settings = F::settings(c.attrs);
  const float* x = c.in[0].data<float>();
  float* y = c.out[0].data<float>();
  parallel_ranges(c.out[0].numel(), grain, [&](int64_t begin, int64_t end) {
    kernel(x + begin, y + begin, end - begin, settings);
  });
}

template <class F>
void backward(const BackwardCall& c) {
  if (!c.din[0].defined()) return;
  const UnaryGradientKernel kernel = unary_gradient_kernel<F>();
  const unary::Settings settings = F::settings(c.attrs);
  const Tensor& saved = c.in[0].defined() ? c.in[0] : c.out[0];
  const float *dy = c.dout[0].data<float>(), *s = saved.defined() ? saved.data<float>() : nullptr;
  float* dx = c.din[0].data<float>();
  parallel_ranges(c.din[0].numel(), grain, [&](int64_t begin, int64_t end) {
    kernel(dy + begin, s ? s + begin : nullptr, dx + begin, end - begin, settings);
  });
}

template <class F>
struct Kernels : RegisterKernel {
  Kernels()
      : RegisterKernel({.op = F::about().name,
                        .name = "cpu",
                        .forward = forward<F>,
                        .backward = backward<F>}) {}
};
const unary::Functions::Each<Kernels> kernels;

}  // namespace
}  // namespace limbeck::cpu_unary
