// The operators conv2d and conv_transpose2d out of the three products of a convolution, for the
// kernels of every device: the transposed one is backward-data forwards.
#pragma once
#include "ops/conv2d.h"

namespace limbeck {

/// Convolve(sizes, x, weight, bias, y), BackwardData(sizes, dy, weight, bias, dx),
/// BackwardWeight(sizes, x, dy, dweight), ColumnSums(d, rows, channels, sum) for the gradient of a
/// bias; an undefined bias is none.
template <auto Convolve, auto BackwardData, auto BackwardWeight, auto ColumnSums>
struct ConvolutionCalls {
  static Tensor optional(const Tensors& list, size_t i) {
    return i < list.size() ? list[i] : Tensor();
  }
  static Conv2dSizes sizes(const Tensors& in, const Attrs& attrs) {
    return conv2d_sizes(in[0].shape(), in[1].shape(), attrs);
  }
  static Conv2dSizes transpose_sizes(const Tensors& in, const Attrs& attrs) {
    return conv_transpose2d_sizes(in[0].shape(), in[1].shape(), attrs);
  }

  static void forward(const ForwardCall& c) {
    Convolve(sizes(c.in, c.attrs), c.in[0], c.in[1], optional(c.in, 2), c.out[0]);
  }

  static void backward(const BackwardCall& c) {
    const Conv2dSizes s = sizes(c.in, c.attrs);
    const Tensor &dy = c.dout[0], db = optional(c.din, 2);
    if (c.din[0]) BackwardData(s, dy, c.in[1], Tensor(), c.din[0]);
    if (c.din[1]) BackwardWeight(s, c.in[0], dy, c.din[1]);
    if (db) ColumnSums(dy, s.n * s.oh * s.ow, s.o, db);
  }

  static void transpose_forward(const ForwardCall& c) {
    BackwardData(transpose_sizes(c.in, c.attrs), c.in[0], c.in[1], optional(c.in, 2), c.out[0]);
  }

  static void transpose_backward(const BackwardCall& c) {
    const Conv2dSizes s = transpose_sizes(c.in, c.attrs);
    const Tensor &dy = c.dout[0], db = optional(c.din, 2);
    if (c.din[0]) Convolve(s, dy, c.in[1], Tensor(), c.din[0]);
    if (c.din[1]) BackwardWeight(s, dy, c.in[0], c.din[1]);
    if (db) ColumnSums(dy, s.n * s.h * s.w, s.c, db);
  }
};

}  // namespace limbeck
