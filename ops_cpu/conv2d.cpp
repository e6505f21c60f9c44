// Registers the f32 CPU kernels of conv2d and conv_transpose2d; formulas in ops/conv2d.cpp,
// algorithms in conv2d_window.cpp (forward and backward-data), conv2d_weight.cpp (weight gradient)
// and conv2d_depthwise.cpp.
#include "ops_cpu/conv2d.h"

#include "ops_cpu/convolution_calls.h"

namespace limbeck::cpu_conv2d {
namespace {

using Calls =
    CpuConvolutionCalls<conv2d_forward_cpu, conv2d_backward_data_cpu, conv2d_backward_weight_cpu>;

const RegisterKernel conv2d_kernel(
    {.op = "conv2d", .name = "cpu", .forward = Calls::forward, .backward = Calls::backward});
const RegisterKernel transpose_kernel({.op = "conv_transpose2d",
                                       .name = "cpu",
                                       .forward = Calls::transpose_forward,
                                       .backward = Calls::transpose_backward});

}  // namespace
}  // namespace limbeck::cpu_conv2d
