// diffaugment on the CPU, f32. The colour steps fold into one expression per element, because they
// keep the image mean:
//   a = k s x + k (1 - s) mean_c(x) + (1 - k) mean(x) + b
//   dx = k s g + k (1 - s) mean_c(g) + (1 - k) mean(g), g = dy moved back, 0 elsewhere
// x, y, dy, dx [N,H,W,C], parameters [N,7]; every element is written. One thread per image; the
// image mean is summed in double in a fixed order, so results do not depend on the thread count. 2
// reads and 1 write of the image, which stays in L1/L2.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/op.h"
#include "ops_cpu/parallel.h"

namespace limbeck::cpu_diffaugment {
namespace {

struct Parameters {
  float brightness, saturation, contrast;
  int64_t shift_h, shift_w, cut_top, cut_bottom, cut_left, cut_right;
  int64_t first_column, last_column;  // output columns that show an input column
  Parameters(const float* p, std::pair<int64_t, int64_t> cut, int64_t H, int64_t W)
      : brightness(p[0]),
        saturation(p[1]),
        contrast(p[2]),
        shift_h(std::llround(p[3])),
        shift_w(std::llround(p[4])) {
    cut_top = std::llround(p[5]) - cut.first / 2;
    cut_bottom = std::min(cut_top + cut.first, H);
    cut_left = std::llround(p[6]) - cut.second / 2;
    cut_right = std::min(cut_left + cut.second, W);
    cut_left = std::max<int64_t>(cut_left, 0);
    first_column = std::clamp<int64_t>(-shift_w, 0, W);
    last_column = std::clamp<int64_t>(W - shift_w, first_column, W);
  }
  /// Calls f(begin, end) for the visible runs of output columns in row h; the rest of the row is
  /// zero.
  template <class F>
  void runs(int64_t h, F&& f) const {
    const bool cut_row = h >= cut_top && h < cut_bottom && cut_left < cut_right;
    const int64_t left_end = cut_row ? std::min(last_column, cut_left) : last_column;
    if (first_column < left_end) f(first_column, left_end);
    const int64_t right_begin = cut_row ? std::max(first_column, cut_right) : last_column;
    if (right_begin < last_column) f(right_begin, last_column);
  }
};

double mean_of(const float* x, int64_t n) {
  double lanes[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int l = 0; l < 16; ++l) lanes[l] += static_cast<double>(x[i + l]);
  double total = 0;
  for (; i < n; ++i) total += static_cast<double>(x[i]);
  for (double l : lanes) total += l;
  return n ? total / static_cast<double>(n) : 0;
}

/// out[i, c] = own * in[i, c] + channel_mean * mean_c(in[i]) + shift, in place allowed.
void mix_pixels(const float* in, float* out, int64_t pixels, int64_t C, float own, float across,
                float shift) {
  if (C == 1) {
    for (int64_t i = 0; i < pixels; ++i) out[i] = (own + across) * in[i] + shift;
  } else if (C == 3) {
    for (int64_t i = 0; i < pixels; ++i) {
      const float a = in[3 * i], b = in[3 * i + 1], c = in[3 * i + 2];
      const float rest = across * (1.0f / 3.0f) * (a + b + c) + shift;
      out[3 * i] = own * a + rest;
      out[3 * i + 1] = own * b + rest;
      out[3 * i + 2] = own * c + rest;
    }
  } else {
    for (int64_t i = 0; i < pixels; ++i, in += C, out += C) {
      float total = 0;
      for (int64_t c = 0; c < C; ++c) total += in[c];
      const float rest = across * total / static_cast<float>(C) + shift;
      for (int64_t c = 0; c < C; ++c) out[c] = own * in[c] + rest;
    }
  }
}

void forward(const ForwardCall& call) {
  const Tensor& x = call.in[0];
  const int64_t N = x.size(0), H = x.size(1), W = x.size(2), C = x.size(3), image = H * W * C;
  const auto cut = call.attrs.pair("cutout", 0);
  parallel_tasks(N, [&](int64_t n) {
    const Parameters p(call.in[1].data<float>() + n * 7, cut, H, W);
    const float* xn = x.data<float>() + n * image;
    float* y = call.out[0].data<float>() + n * image;
    const float own = p.contrast * p.saturation, across = p.contrast * (1 - p.saturation);
    const float shift = (1 - p.contrast) * static_cast<float>(mean_of(xn, image)) + p.brightness;
    std::memset(y, 0, static_cast<size_t>(image) * sizeof(float));
    for (int64_t h = std::max<int64_t>(0, -p.shift_h); h < std::min(H, H - p.shift_h); ++h)
      p.runs(h, [&](int64_t begin, int64_t end) {
        mix_pixels(xn + ((h + p.shift_h) * W + begin + p.shift_w) * C, y + (h * W + begin) * C,
                   end - begin, C, own, across, shift);
      });
  });
}

void backward(const BackwardCall& call) {
  const Tensor& dx = call.din[0];
  if (!dx.defined()) return;
  const int64_t N = dx.size(0), H = dx.size(1), W = dx.size(2), C = dx.size(3), image = H * W * C;
  const auto cut = call.attrs.pair("cutout", 0);
  parallel_tasks(N, [&](int64_t n) {
    const Parameters p(call.in[1].data<float>() + n * 7, cut, H, W);
    const float* dy = call.dout[0].data<float>() + n * image;
    float* g = dx.data<float>() + n * image;
    std::memset(g, 0, static_cast<size_t>(image) * sizeof(float));
    for (int64_t h = std::max<int64_t>(0, -p.shift_h); h < std::min(H, H - p.shift_h); ++h)
      p.runs(h, [&](int64_t begin, int64_t end) {
        std::memcpy(g + ((h + p.shift_h) * W + begin + p.shift_w) * C, dy + (h * W + begin) * C,
                    static_cast<size_t>((end - begin) * C) * sizeof(float));
      });
    const float shift = (1 - p.contrast) * static_cast<float>(mean_of(g, image));
    mix_pixels(g, g, H * W, C, p.contrast * p.saturation, p.contrast * (1 - p.saturation), shift);
  });
}

const RegisterKernel registered({.op = "diffaugment",
                                 .device = DeviceKind::cpu,
                                 .name = "cpu",
                                 .forward = forward,
                                 .backward = backward});

}  // namespace
}  // namespace limbeck::cpu_diffaugment
