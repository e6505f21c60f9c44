// The vector micro-kernels of convolution and matrix product (simd/conv.cpp), one table per
// instruction set. Those of tile, narrow and outer work on packed weights or sums;
// conv2d_window.cpp, conv2d_weight.cpp, conv2d_winograd*.cpp and gemm.cpp pack and divide the work.
// The depthwise ones (conv2d_depthwise.cpp) take weights as they are.
#pragma once
#include <cstdint>

#include "ops_cpu/isa.h"

namespace limbeck {

/// out[p][j] (+)= bias[j] + sum_{s < segments, i < length} in[p][offset[s] + i] * weights[s][i][j]
///   for p < pixels, j < lanes.
/// "Pixels" are any rows of floats: output pixels of a convolution, rows of a matrix.
struct TileRun {
  const float* const* in;  ///< [pixels] where each output pixel's window starts
  float* const* out;       ///< [pixels] first of its output channels; `out_offset` is added
  int64_t pixels;
  int64_t out_offset;
  const int64_t* offsets;  ///< [segments] in floats, added to in[p]
  int64_t segments, length;
  const float* weights;   ///< [segments][length][vectors * width]
  int vectors;            ///< vectors of output channels in this block: 1 or 2
  int64_t lanes;          ///< output channels in this block, at most vectors * width
  const float* bias;      ///< [vectors * width] or null; ignored when accumulating
  bool accumulate;        ///< start from out instead of bias
  bool prefetch = false;  ///< ask for the next pixels' first segment while working on these
};

/// The same sum for few output channels, where vectors of them would be mostly empty: vectors run
/// along the summed channels instead.
struct NarrowRun {
  const float* const* in;
  float* const* out;
  int64_t pixels;
  const int64_t* offsets;
  int64_t segments, length;
  const float* weights;  ///< [segments][channels][length]
  int64_t channels;      ///< output channels, 1 to 4
  const float* bias;     ///< [channels] or null
};

/// sum[r][j] += sum_{rows y, x < columns} a[y][x * a_step + r] * b[y][x * b_step + j]   for r <
/// count, j < vectors * width:
/// the outer products of a weight gradient (a: the input, b: the output's gradient).
struct OuterRun {
  const float* const* a;  ///< [rows]; `a_offset` is added
  const float* const* b;  ///< [rows]
  int64_t rows, columns, a_step, b_step, a_offset;
  float* sum;  ///< [count][vectors * width]
  int64_t count;
  int vectors;  ///< 1 or 2
};

/// Depthwise: out[p][c] = bias[c] + sum_s in[p][offset[s] + c] * weights[s][c] for c < channels.
struct DepthwiseRun {
  const float* const* in;
  float* const* out;
  int64_t pixels, channels;
  const int64_t* offsets;
  int64_t segments;
  const float* weights;  ///< [segments][channels]
  const float* bias;     ///< [channels] or null
};

/// sum[s][c] += sum_p in[p][offset[s] + c] * d[p][c].
struct DepthwiseWeightRun {
  const float* const* in;
  const float* const* d;
  int64_t pixels, channels;
  const int64_t* offsets;
  int64_t segments;
  float* sum;  ///< [segments][channels]
};

struct ConvKernels {
  int64_t width;  ///< floats per vector
  void (*tile)(const TileRun&);
  void (*narrow)(const NarrowRun&);
  void (*outer)(const OuterRun&);
  void (*depthwise)(const DepthwiseRun&);
  void (*depthwise_weight)(const DepthwiseWeightRun&);
  /// sum[c] += rows of d [rows, channels].
  void (*column_sums)(const float* d, int64_t rows, int64_t channels, float* sum);
};

LIMBECK_SIMD_TABLE(ConvKernels, conv_kernels)

}  // namespace limbeck
