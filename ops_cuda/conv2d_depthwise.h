// Convolutions with one input and one output channel per group, in f32 arithmetic. They are bound
// by memory: a tensor core would idle.
#pragma once
#include "ops/conv2d.h"
#include "ops_cuda/runtime.h"

namespace limbeck::cuda {

/// groups = C = O, windows of up to 64 taps that are up to 8 wide, and sizes that 32-bit indices
/// reach.
bool depthwise_serves(const Conv2dSizes& s);
/// S: what images (x, y, dx, dy) are stored in, float or bfloat16; weights, biases and dw are f32.
/// y = conv(x, w) + b; b may be undefined. Overwrites.
template <class S>
void depthwise_forward(const Conv2dSizes& s, const Tensor& x, const Tensor& w, const Tensor& b,
                       const Tensor& y);
/// dx = transposed conv(dy, w) + b (of a transposed convolution; undefined for a gradient).
/// Overwrites.
template <class S>
void depthwise_backward_data(const Conv2dSizes& s, const Tensor& dy, const Tensor& w,
                             const Tensor& b, const Tensor& dx);
/// dw = sum dy x. Overwrites.
template <class S>
void depthwise_backward_weight(const Conv2dSizes& s, const Tensor& x, const Tensor& dy,
                               const Tensor& dw);

}  // namespace limbeck::cuda
