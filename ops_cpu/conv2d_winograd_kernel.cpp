// Registers the Winograd kernels of conv2d and conv_transpose2d for the sizes where they are
// measured to win (docs/convolution.md).
#include "ops_cpu/conv2d_winograd.h"
#include "ops_cpu/convolution_calls.h"

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

using Calls = CpuConvolutionCalls<winograd_forward_cpu, winograd_backward_data_cpu,
                                  winograd_backward_weight_cpu>;

const RegisterKernel conv2d_kernel({.op = "conv2d",
                                    .name = "cpu-winograd",
                                    .forward = Calls::forward,
                                    .backward = Calls::backward,
                                    .priority = 2,
                                    .supports = [](const Tensors& in, const Attrs& attrs) {
                                      return winograd_pays(Calls::sizes(in, attrs));
                                    }});
const RegisterKernel transpose_kernel({.op = "conv_transpose2d",
                                       .name = "cpu-winograd",
                                       .forward = Calls::transpose_forward,
                                       .backward = Calls::transpose_backward,
                                       .priority = 2,
                                       .supports = [](const Tensors& in, const Attrs& attrs) {
                                         return winograd_pays(Calls::transpose_sizes(in, attrs));
                                       }});

}  // namespace
}  // namespace limbeck
