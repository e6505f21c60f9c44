// resize_bilinear in f32 on the CPU; contract in ops/resize_bilinear.cpp. A row at a time: the two
// source rows are mixed first, then neighbours in that row, all channels of a pixel together; the
// gradient takes the same two steps back, and its sums along a row and over rows are apart. Rows in
// parallel forward, images backward. Bytes: y once, x from the caches.
#include <algorithm>
#include <vector>

#include "ops/op.h"
#include "ops/resize.h"
#include "ops_cpu/parallel.h"

namespace limbeck::cpu_resize_bilinear {
namespace {

/// Images [n, h, w, c] and [n, out_h, out_w, c].
struct Sizes {
  int64_t n, h, w, c, out_h, out_w;
  bool corners;
  std::vector<ResizeSource> columns;
  Sizes(const Shape& x, const Shape& y, const Attrs& attrs)
      : n(x[0]),
        h(x[1]),
        w(x[2]),
        c(x[3]),
        out_h(y[1]),
        out_w(y[2]),
        corners(attrs.flag("align_corners")) {
    if (y.numel() == 0) return;
    for (int64_t o = 0; o < out_w; ++o) columns.push_back(resize_source(o, w, out_w, corners));
  }
  ResizeSource row(int64_t o) const { return resize_source(o, h, out_h, corners); }
};

void forward(const ForwardCall& call) {
  if (call.out[0].numel() == 0) return;
  const Sizes s(call.in[0].shape(), call.out[0].shape(), call.attrs);
  const float* x = call.in[0].data<float>();
  float* y = call.out[0].data<float>();
  parallel_parts(s.n * s.out_h, call.out[0].numel(), [&](int64_t part) {
    const ResizeSource v = s.row(part % s.out_h);
    const float* image = x + part / s.out_h * s.h * s.w * s.c;
    const float *top = image + v.first * s.w * s.c, *bottom = image + v.second * s.w * s.c;
    std::vector<float> mixed(static_cast<size_t>(s.w * s.c));
    const auto b = static_cast<float>(v.weight), a = 1 - b;
    for (size_t i = 0; i < mixed.size(); ++i) mixed[i] = a * top[i] + b * bottom[i];
    float* to = y + part * s.out_w * s.c;
    for (const ResizeSource& u : s.columns) {
      const float *left = mixed.data() + u.first * s.c, *right = mixed.data() + u.second * s.c;
      const auto r = static_cast<float>(u.weight), l = 1 - r;
      for (int64_t i = 0; i < s.c; ++i) to[i] = l * left[i] + r * right[i];
      to += s.c;
    }
  });
}

void backward(const BackwardCall& call) {
  if (!call.din[0].defined() || call.din[0].numel() == 0) return;
  const Sizes s(call.din[0].shape(), call.dout[0].shape(), call.attrs);
  const float* dy = call.dout[0].data<float>();
  float* dx = call.din[0].data<float>();
  const int64_t row = s.w * s.c;
  parallel_parts(s.n, call.dout[0].numel(), [&](int64_t n) {
    float* image = dx + n * s.h * row;
    std::fill_n(image, s.h * row, 0.0f);
    std::vector<float> mixed(static_cast<size_t>(row));
    for (int64_t h = 0; h < s.out_h; ++h) {
      std::fill(mixed.begin(), mixed.end(), 0.0f);
      const float* from = dy + (n * s.out_h + h) * s.out_w * s.c;
      for (const ResizeSource& u : s.columns) {
        float *left = mixed.data() + u.first * s.c, *right = mixed.data() + u.second * s.c;
        const auto r = static_cast<float>(u.weight), l = 1 - r;
        for (int64_t i = 0; i < s.c; ++i) left[i] += l * from[i];
        for (int64_t i = 0; i < s.c; ++i) right[i] += r * from[i];
        from += s.c;
      }
      const ResizeSource v = s.row(h);
      const auto b = static_cast<float>(v.weight), a = 1 - b;
      float *top = image + v.first * row, *bottom = image + v.second * row;
      for (int64_t i = 0; i < row; ++i) top[i] += a * mixed[static_cast<size_t>(i)];
      for (int64_t i = 0; i < row; ++i) bottom[i] += b * mixed[static_cast<size_t>(i)];
    }
  });
}

const RegisterKernel kernel(
    {.op = "resize_bilinear", .name = "cpu", .forward = forward, .backward = backward});

}  // namespace
}  // namespace limbeck::cpu_resize_bilinear
