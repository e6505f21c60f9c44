// Registers the Winograd kernels of conv2d and conv_transpose2d for the sizes where they are
// measured to win (docs/convolution.md).
#include "ops_cpu/conv2d.h"
#include "ops_cpu/conv2d_winograd.h"

namespace limbeck {

bool winograd_pays(const Conv2dSizes& s) {
  if (!winograd_possible(s) || s.c < 16 || s.o < 16) return false;
  // Tiles that reach beyond the image waste their work; backward-data tiles the input instead of
  // the output.
  const auto used = [](int64_t h, int64_t w) {
    return double(h * w) / double((h + 3) / 4 * ((w + 3) / 4) * 16);
  };
  return used(s.oh, s.ow) > 0.5 && used(s.h, s.w) > 0.5;
}

namespace {

const float* bias_of(const Tensors& in) {
  return in.size() > 2 && in[2] ? in[2].data<float>() : nullptr;
}

void forward(const ForwardCall& c) {
  const Conv2dSizes s = conv2d_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  winograd_forward_cpu(s, c.in[0].data<float>(), c.in[1].data<float>(), bias_of(c.in),
                       c.out[0].data<float>());
}

void backward(const BackwardCall& c) {
  const Conv2dSizes s = conv2d_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  const float* dy = c.dout[0].data<float>();
  if (c.din[0])
    winograd_backward_data_cpu(s, dy, c.in[1].data<float>(), nullptr, c.din[0].data<float>());
  if (c.din[1]) winograd_backward_weight_cpu(s, c.in[0].data<float>(), dy, c.din[1].data<float>());
  if (c.din.size() > 2 && c.din[2])
    column_sums_cpu(dy, s.n * s.oh * s.ow, s.o, c.din[2].data<float>());
}

bool supports(const Tensors& in, const Attrs& attrs) {
  return winograd_pays(conv2d_sizes(in[0].shape(), in[1].shape(), attrs));
}

void transpose_forward(const ForwardCall& c) {
  const Conv2dSizes s = conv_transpose2d_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  winograd_backward_data_cpu(s, c.in[0].data<float>(), c.in[1].data<float>(), bias_of(c.in),
                             c.out[0].data<float>());
}

void transpose_backward(const BackwardCall& c) {
  const Conv2dSizes s = conv_transpose2d_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  const float* dy = c.dout[0].data<float>();
  if (c.din[0]) winograd_forward_cpu(s, dy, c.in[1].data<float>(), nullptr, c.din[0].data<float>());
  if (c.din[1]) winograd_backward_weight_cpu(s, dy, c.in[0].data<float>(), c.din[1].data<float>());
  if (c.din.size() > 2 && c.din[2])
    column_sums_cpu(dy, s.n * s.h * s.w, s.c, c.din[2].data<float>());
}

bool transpose_supports(const Tensors& in, const Attrs& attrs) {
  return winograd_pays(conv_transpose2d_sizes(in[0].shape(), in[1].shape(), attrs));
}

const RegisterKernel conv2d_kernel({.op = "conv2d",
                                    .name = "cpu-winograd",
                                    .forward = forward,
                                    .backward = backward,
                                    .priority = 2,
                                    .supports = supports});
const RegisterKernel transpose_kernel({.op = "conv_transpose2d",
                                       .name = "cpu-winograd",
                                       .forward = transpose_forward,
                                       .backward = transpose_backward,
                                       .priority = 2,
                                       .supports = transpose_supports});

}  // namespace
}  // namespace limbeck
