// The naive convolutions of conv2d.cu, for bf16 images whose sizes or groups the tiles of
// conv2d_tuned.cu do not serve.
#pragma once
#include "ops/conv2d.h"
#include "ops_cuda/runtime.h"

namespace limbeck::cuda {

/// Images (x, y, dx, dy) of type S; weights, biases, dw and all arithmetic of type T: <float,
/// float>, <double, double> or <bfloat16, float>. y = conv(x, w) + b; b may be undefined.
/// Overwrites.
template <class S, class T>
void naive_convolution(const Conv2dSizes& s, const Tensor& x, const Tensor& w, const Tensor& b,
                       const Tensor& y);
/// dx = transposed conv(dy, w) + b (of a transposed convolution; undefined for a gradient).
/// Overwrites.
template <class S, class T>
void naive_backward_data(const Conv2dSizes& s, const Tensor& dy, const Tensor& w, const Tensor& b,
                         const Tensor& dx);
/// dw = sum dy x. Overwrites.
template <class S, class T>
void naive_backward_weight(const Conv2dSizes& s, const Tensor& x, const Tensor& dy,
                           const Tensor& dw);

}  // namespace limbeck::cuda
