// conv2d and conv_transpose2d on the CPU out of functions on f32 memory (conv2d.h,
// conv2d_winograd.h).
#pragma once
#include "ops/convolution_calls.h"
#include "ops_cpu/conv2d.h"

namespace limbeck {

/// A forward or backward-data on tensors; an undefined bias is null.
template <auto F>
void on_floats(const Conv2dSizes& s, const Tensor& in, const Tensor& w, const Tensor& b,
               const Tensor& out) {
  F(s, in.data<float>(), w.data<float>(), b ? b.data<float>() : nullptr, out.data<float>());
}
template <auto F>
void weight_gradient_on_floats(const Conv2dSizes& s, const Tensor& x, const Tensor& dy,
                               const Tensor& dw) {
  F(s, x.data<float>(), dy.data<float>(), dw.data<float>());
}
inline void column_sums_on_floats(const Tensor& d, int64_t rows, int64_t channels,
                                  const Tensor& sum) {
  column_sums_cpu(d.data<float>(), rows, channels, sum.data<float>());
}

template <auto Forward, auto BackwardData, auto BackwardWeight>
using CpuConvolutionCalls =
    ConvolutionCalls<on_floats<Forward>, on_floats<BackwardData>,
                     weight_gradient_on_floats<BackwardWeight>, column_sums_on_floats>;

}  // namespace limbeck
