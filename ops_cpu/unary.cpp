// Element-wise functions of one tensor, f32 on the CPU; formulas in ops/unary.cpp. Forward 8 bytes
// an element, backward 8 or 12.
#include <cmath>

#include "ops/op.h"
#include "ops_cpu/elementwise_kernels.h"
#include "ops_cpu/parallel.h"

namespace limbeck::cpu_unary {
namespace {

constexpr int64_t grain = 16384;

// The two settings of each function, as the kernels expect them.
template <UnaryKind kind>
std::pair<float, float> settings(const Attrs& attrs) {
  if constexpr (kind == UnaryKind::leaky_relu) return {float(attrs.number("slope", 0.01)), 0.0f};
  if constexpr (kind == UnaryKind::clamp)
    return {float(attrs.number("low", -HUGE_VAL)), float(attrs.number("high", HUGE_VAL))};
  if constexpr (kind == UnaryKind::affine)
    return {float(attrs.number("scale", 1)), float(attrs.number("shift", 0))};
  return {0.0f, 0.0f};
}

template <UnaryKind kind>
void forward(const ForwardCall& c) {
  const UnaryKernel kernel = elementwise_kernels().unary[int(kind)];
  const auto [a, b] = settings<kind>(c.attrs);
  const float* x = c.in[0].data<float>();
  float* y = c.out[0].data<float>();
  parallel_ranges(c.out[0].numel(), grain, [&, a = a, b = b](int64_t begin, int64_t end) {
    kernel(x + begin, y + begin, end - begin, a, b);
  });
}

template <UnaryKind kind>
void backward(const BackwardCall& c) {
  if (!c.din[0].defined()) return;
  const UnaryGradientKernel kernel = elementwise_kernels().unary_gradient[int(kind)];
  const auto [a, b] = settings<kind>(c.attrs);
  const Tensor& saved = c.in[0].defined() ? c.in[0] : c.out[0];
  const float *dy = c.dout[0].data<float>(), *s = saved.defined() ? saved.data<float>() : nullptr;
  float* dx = c.din[0].data<float>();
  parallel_ranges(c.din[0].numel(), grain, [&, a = a, b = b](int64_t begin, int64_t end) {
    kernel(dy + begin, s ? s + begin : nullptr, dx + begin, end - begin, a, b);
  });
}

template <UnaryKind kind>
Kernel kernel(const char* op) {
  return {.op = op, .name = "cpu", .forward = forward<kind>, .backward = backward<kind>};
}

using enum UnaryKind;
const RegisterKernel kernels[] = {
    RegisterKernel(kernel<relu>("relu")),
    RegisterKernel(kernel<leaky_relu>("leaky_relu")),
    RegisterKernel(kernel<sigmoid>("sigmoid")),
    RegisterKernel(kernel<UnaryKind::tanh>("tanh")),
    RegisterKernel(kernel<silu>("silu")),
    RegisterKernel(kernel<softplus>("softplus")),
    RegisterKernel(kernel<UnaryKind::exp>("exp")),
    RegisterKernel(kernel<UnaryKind::log>("log")),
    RegisterKernel(kernel<UnaryKind::sqrt>("sqrt")),
    RegisterKernel(kernel<square>("square")),
    RegisterKernel(kernel<UnaryKind::abs>("abs")),
    RegisterKernel(kernel<clamp>("clamp")),
    RegisterKernel(kernel<affine>("affine")),
};

}  // namespace
}  // namespace limbeck::cpu_unary
