// How a convolution, or its backward-data, walks over memory: both are "window sums" over a
// zero-padded input,
//   out[t * out_step + first] += in[t * in_step + tap offset] * w[tap],
// with one phase for a convolution and `stride` phases per axis for a backward-data (each residue
// of the output position modulo the stride meets its own subset of the taps), so that neither
// multiplies with inserted zeros.
#pragma once
#include <vector>

#include "ops/conv2d.h"

namespace limbeck {

struct Tap {
  int64_t k;       ///< position in the window of the weight
  int64_t offset;  ///< in input positions, may be negative
};

struct AxisPhase {
  int64_t first = 0;      ///< first output position
  int64_t count = 0;      ///< output positions
  std::vector<Tap> taps;  ///< ascending offsets; may be empty (output = bias)
};

/// One axis of a window sum.
struct Axis {
  int64_t in_size = 0, out_size = 0, in_step = 1, out_step = 1;
  std::vector<AxisPhase> phases;
  int64_t steps = 0;                ///< largest count of the phases
  int64_t lowest = 0, highest = 0;  ///< range of the tap offsets
  /// Whether every tap of every output position lies inside the input.
  bool inside() const { return lowest >= 0 && (steps - 1) * in_step + highest < in_size; }
};

/// One axis of a convolution, of its backward-data below.
Axis forward_axis(int64_t in, int64_t out, int64_t k, int64_t stride, int64_t pad,
                  int64_t dilation);
Axis backward_axis(int64_t in, int64_t out, int64_t k, int64_t stride, int64_t pad,
                   int64_t dilation);

/// A part of the output: all channels of steps [y0, y1) of images [n0, n1).
struct Strip {
  int64_t n0, n1, y0, y1;
};
/// Cuts the output into strips of a few hundred pixels whose input fits the second-level cache.
std::vector<Strip> make_strips(int64_t images, const Axis& y, const Axis& x, int64_t channels);

/// The input rows of one strip with zero padding: floats of image n, input position (iy, ix) start
/// at data + (((n - n0) * height + iy - top) * width + ix - left) * channels.
struct PaddedInput {
  const float* data = nullptr;
  int64_t height = 0, width = 0, top = 0, left = 0, channels = 0, n0 = 0;
  const float* at(int64_t n, int64_t iy, int64_t ix) const {
    return data + (((n - n0) * height + iy - top) * width + ix - left) * channels;
  }
  int64_t offset(int64_t dy, int64_t dx) const { return (dy * width + dx) * channels; }
};
/// Points into `in` [N, y.in_size, x.in_size, channels] where no padding is needed, and copies into
/// this thread's scratch otherwise.
PaddedInput pad_input(const float* in, const Strip& strip, const Axis& y, const Axis& x,
                      int64_t channels);

}  // namespace limbeck
