// The vector kernels of pooling and nearest upsampling (simd/pooling.cpp), one table per
// instruction set. Each treats one window of one image [H, W, C] and all its channels; `x`/`dx`
// point to the image, `y`/`dy` to the pooled pixel.
#pragma once
#include <cstdint>

#include "ops_cpu/isa.h"

namespace limbeck {

struct PoolWindow {
  int64_t width, channels;  ///< of the image
  int64_t h_begin, h_end, w_begin, w_end;
};

struct PoolingKernels {
  /// y[c] = maximum over the window (NaN wins), index[c] = h * width + w of its first occurrence.
  void (*maximum)(const float* x, const PoolWindow& window, float* y, int32_t* index);
  /// dx at index[c] += dy[c]; with `overwrite` every pixel of the window is written instead, 0
  /// where it was not the maximum.
  void (*maximum_gradient)(const float* dy, const int32_t* index, const PoolWindow& window,
                           bool overwrite, float* dx);
  /// y[c] = scale * sum over the window.
  void (*sum)(const float* x, const PoolWindow& window, float scale, float* y);
  /// dx (+)= scale * dy[c] at every pixel of the window.
  void (*spread)(const float* dy, const PoolWindow& window, float scale, bool overwrite, float* dx);
};

LIMBECK_SIMD_TABLE(PoolingKernels, pooling_kernels)

}  // namespace limbeck
