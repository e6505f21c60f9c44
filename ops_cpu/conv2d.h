// f32 convolution on the CPU, channels last. All results are bit-equal for any number of threads:
// every output element is summed in an order that depends on the sizes and the instruction set only
// (one chain of multiply-adds, or one for each lane of a vector where there are few channels), and
// weight gradients over a fixed partition of the images.
#pragma once
#include "ops/conv2d.h"

namespace limbeck {

/// y = conv(x, w) + b; b may be null. Writes all of y.
void conv2d_forward_cpu(const Conv2dSizes& s, const float* x, const float* w, const float* b,
                        float* y);
/// dx = transposed conv(dy, w) + b (b [C] is the bias of a transposed convolution; null for a
/// gradient). Writes all of dx.
void conv2d_backward_data_cpu(const Conv2dSizes& s, const float* dy, const float* w, const float* b,
                              float* dx);
/// dw[o,ky,kx,i] = sum dy x. Writes all of dw.
void conv2d_backward_weight_cpu(const Conv2dSizes& s, const float* x, const float* dy, float* dw);
/// sum[c] = sum over rows of d [rows, channels]. Writes all of sum.
void column_sums_cpu(const float* d, int64_t rows, int64_t channels, float* sum);

/// Same, for groups = C = O (one input and one output channel per group).
void depthwise_forward_cpu(const Conv2dSizes& s, const float* x, const float* w, const float* b,
                           float* y);
void depthwise_backward_data_cpu(const Conv2dSizes& s, const float* dy, const float* w,
                                 const float* b, float* dx);
void depthwise_backward_weight_cpu(const Conv2dSizes& s, const float* x, const float* dy,
                                   float* dw);
inline bool is_depthwise(const Conv2dSizes& s) {
  return s.groups > 1 && s.groups == s.c && s.groups == s.o;
}

}  // namespace limbeck
