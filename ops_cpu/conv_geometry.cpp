#include "ops_cpu/conv_geometry.h"

#include <algorithm>
#include <cstring>

#include "ops_cpu/scratch.h"

namespace limbeck {
namespace {

void finish(Axis& axis) {
  bool any = false;
  for (const AxisPhase& phase : axis.phases) {
    axis.steps = std::max(axis.steps, phase.count);
    for (const Tap& tap : phase.taps) {
      axis.lowest = any ? std::min(axis.lowest, tap.offset) : tap.offset;
      axis.highest = any ? std::max(axis.highest, tap.offset) : tap.offset;
      any = true;
    }
  }
}

}  // namespace

Axis forward_axis(int64_t in, int64_t out, int64_t k, int64_t stride, int64_t pad,
                  int64_t dilation) {
  Axis axis{in, out, stride, 1};
  AxisPhase phase{0, out, {}};
  for (int64_t i = 0; i < k; ++i) phase.taps.push_back({i, i * dilation - pad});
  axis.phases.push_back(std::move(phase));
  finish(axis);
  return axis;
}

Axis backward_axis(int64_t in, int64_t out, int64_t k, int64_t stride, int64_t pad,
                   int64_t dilation) {
  Axis axis{in, out, 1, stride};
  for (int64_t r = 0; r < std::min(stride, out); ++r) {
    AxisPhase phase{r, (out - r + stride - 1) / stride, {}};
    for (int64_t i = k - 1; i >= 0; --i) {
      const int64_t distance =
          r + pad -
          // output position r + stride t receives input position t + distance / stride
          i * dilation;
      if (distance % stride == 0) phase.taps.push_back({i, distance / stride});
    }
    axis.phases.push_back(std::move(phase));
  }
  finish(axis);
  return axis;
}

std::vector<Strip> make_strips(int64_t images, const Axis& y, const Axis& x, int64_t channels) {
  constexpr int64_t kPixels = 512, kBytes = 768 << 10;
  const int64_t row_bytes = (x.in_step * x.steps + x.highest - x.lowest) * y.in_step * channels * 4;
  std::vector<Strip> strips;
  if (y.steps * x.steps <= 4 * kPixels && y.steps * row_bytes <= 2 * kBytes) {
    const int64_t fitting = std::min(kPixels / std::max<int64_t>(1, y.steps * x.steps),
                                     kBytes / std::max<int64_t>(1, y.steps * row_bytes));
    // At least sixteen strips where the batch allows, so that threads share the work evenly.
    const int64_t group = std::clamp<int64_t>(fitting, 1, std::max<int64_t>(1, images / 16));
    for (int64_t n = 0; n < images; n += group)
      strips.push_back({n, std::min(images, n + group), 0, y.steps});
    return strips;
  }
  const int64_t rows = std::clamp<int64_t>(
      std::min(kPixels / x.steps, kBytes / std::max<int64_t>(1, row_bytes)), 1, y.steps);
  for (int64_t n = 0; n < images; ++n)
    for (int64_t row = 0; row < y.steps; row += rows)
      strips.push_back({n, n + 1, row, std::min(y.steps, row + rows)});
  return strips;
}

PaddedInput pad_input(const float* in, const Strip& strip, const Axis& y, const Axis& x,
                      int64_t channels) {
  if (y.inside() && x.inside()) return {in, y.in_size, x.in_size, 0, 0, channels, 0};
  PaddedInput p{nullptr, 0, 0, strip.y0 * y.in_step + y.lowest, x.lowest, channels, strip.n0};
  p.height = (strip.y1 - 1 - strip.y0) * y.in_step + y.highest - y.lowest + 1;
  p.width = (x.steps - 1) * x.in_step + x.highest - x.lowest + 1;
  float* const buffer =
      scratch<float>(ScratchUse::input, (strip.n1 - strip.n0) * p.height * p.width * channels);
  // Columns [from, to) of a padded row exist in the input; the others are zero.
  const int64_t from = std::clamp<int64_t>(-p.left, 0, p.width),
                to = std::clamp<int64_t>(x.in_size - p.left, from, p.width);
  for (int64_t n = strip.n0; n < strip.n1; ++n)
    for (int64_t row = 0; row < p.height; ++row) {
      float* const target = buffer + ((n - strip.n0) * p.height + row) * p.width * channels;
      const int64_t iy = p.top + row;
      if (iy < 0 || iy >= y.in_size || from == to) {
        std::memset(target, 0, sizeof(float) * p.width * channels);
        continue;
      }
      const float* const source =
          in + ((n * y.in_size + iy) * x.in_size + from + p.left) * channels;
      std::memset(target, 0, sizeof(float) * from * channels);
      std::memcpy(target + from * channels, source, sizeof(float) * (to - from) * channels);
      std::memset(target + to * channels, 0, sizeof(float) * (p.width - to) * channels);
    }
  p.data = buffer;
  return p;
}

}  // namespace limbeck
