// Registers the f32 CPU kernels of conv2d and conv_transpose2d; formulas in ops/conv2d.cpp,
// algorithms in conv2d_window.cpp (forward and backward-data), conv2d_weight.cpp (weight gradient)
// and conv2d_depthwise.cpp.
#include "ops_cpu/conv2d.h"

namespace limbeck::cpu_conv2d {
namespace {

const float* bias_of(const Tensors& in) {
  return in.size() > 2 && in[2] ? in[2].data<float>() : nullptr;
}
bool wants_bias(const BackwardCall& c) { return c.din.size() > 2 && c.din[2]; }

void forward(const ForwardCall& c) {
  const Conv2dSizes s = conv2d_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  conv2d_forward_cpu(s, c.in[0].data<float>(), c.in[1].data<float>(), bias_of(c.in),
                     c.out[0].data<float>());
}

void backward(const BackwardCall& c) {
  const Conv2dSizes s = conv2d_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  const float* dy = c.dout[0].data<float>();
  if (c.din[0])
    conv2d_backward_data_cpu(s, dy, c.in[1].data<float>(), nullptr, c.din[0].data<float>());
  if (c.din[1]) conv2d_backward_weight_cpu(s, c.in[0].data<float>(), dy, c.din[1].data<float>());
  if (wants_bias(c)) column_sums_cpu(dy, s.n * s.oh * s.ow, s.o, c.din[2].data<float>());
}

void transpose_forward(const ForwardCall& c) {
  const Conv2dSizes s = conv_transpose2d_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  conv2d_backward_data_cpu(s, c.in[0].data<float>(), c.in[1].data<float>(), bias_of(c.in),
                           c.out[0].data<float>());
}

void transpose_backward(const BackwardCall& c) {
  const Conv2dSizes s = conv_transpose2d_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  const float* dy = c.dout[0].data<float>();
  if (c.din[0]) conv2d_forward_cpu(s, dy, c.in[1].data<float>(), nullptr, c.din[0].data<float>());
  if (c.din[1]) conv2d_backward_weight_cpu(s, dy, c.in[0].data<float>(), c.din[1].data<float>());
  if (wants_bias(c)) column_sums_cpu(dy, s.n * s.h * s.w, s.c, c.din[2].data<float>());
}

const RegisterKernel conv2d_kernel(
    {.op = "conv2d", .name = "cpu", .forward = forward, .backward = backward});
const RegisterKernel transpose_kernel({.op = "conv_transpose2d",
                                       .name = "cpu",
                                       .forward = transpose_forward,
                                       .backward = transpose_backward});

}  // namespace
}  // namespace limbeck::cpu_conv2d
