// Vector transforms of Winograd convolution F(4x4, 3x3) (simd/winograd.cpp), one table per
// instruction set; formulas in conv2d_winograd.cpp. Vectors run along channels. A transformed tile
// has 36 points; those of point i lie `stride` floats after i - 1.
#pragma once
#include <cstdint>

#include "ops_cpu/isa.h"

namespace limbeck {

inline constexpr int64_t kWinogradOut = 4, kWinogradIn = 6, kWinogradPoints = 36;

struct WinogradKernels {
  /// B^T d B for every channel: d[6 y + x][c] to out[point * stride + c]. Channels are rounded up
  /// to whole vectors, the excess is zero.
  void (*input)(const float* const* d, int64_t channels, float* out, int64_t stride);
  /// A^T m A + bias: m[point * stride + c] to y[4 y + x][c]; bias [channels rounded up to whole
  /// vectors] or null.
  void (*output)(const float* m, int64_t stride, int64_t channels, const float* bias,
                 float* const* y);
  /// G g G^T of `count` filters (a multiple of the vector width): g[tap * tap_stride + i] to
  /// u[point * stride + i].
  void (*filter)(const float* g, int64_t tap_stride, int64_t count, float* u, int64_t stride);
  /// A dy A^T, the transpose of `output`: dy[4 y + x][c] to out[point * stride + c]; rounded up
  /// like `input`.
  void (*output_gradient)(const float* const* dy, int64_t channels, float* out, int64_t stride);
  /// G^T s G, the transpose of `filter`: s[point * stride + i] to dg[tap * tap_stride + i].
  void (*filter_gradient)(const float* s, int64_t stride, int64_t count, float* dg,
                          int64_t tap_stride);
};

LIMBECK_SIMD_TABLE(WinogradKernels, winograd_kernels)

}  // namespace limbeck
