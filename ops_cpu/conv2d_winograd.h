// 3x3 convolution with stride 1, dilation 1, one group and padding 0 to 2 by Winograd's minimal
// filtering F(4x4, 3x3): 36 multiplications per 4x4 outputs and channel pair instead of 144.
// Bit-equal for any number of threads. Formulas in conv2d_winograd.cpp.
#pragma once
#include "ops/conv2d.h"

namespace limbeck {

/// Whether the algorithm can compute these sizes at all.
bool winograd_possible(const Conv2dSizes& s);
/// Whether it should also be faster than the direct kernel: a rule that measurements gave
/// (docs/convolution.md).
bool winograd_pays(const Conv2dSizes& s);

/// As conv2d_forward_cpu and its siblings in conv2d.h; the sizes must be possible.
void winograd_forward_cpu(const Conv2dSizes& s, const float* x, const float* w, const float* b,
                          float* y);
void winograd_backward_data_cpu(const Conv2dSizes& s, const float* dy, const float* w,
                                const float* b, float* dx);
void winograd_backward_weight_cpu(const Conv2dSizes& s, const float* x, const float* dy, float* dw);

}  // namespace limbeck
