// Sizes of one 2-d convolution, shared by the reference, the CPU and the CUDA kernels, and the
// definition itself as templates. Memory: x [N, H, W, C], w [O, kh, kw, C/groups], b [O], y [N, OH,
// OW, O], with OH = (H + 2 pad - dilation (kh - 1) - 1) / stride + 1.
#pragma once
#include <vector>

#include "ops/op.h"

namespace limbeck {

struct Conv2dSizes {
  int64_t n = 0, h = 0, w = 0, c = 0;  // input
  int64_t o = 0, kh = 0, kw = 0;       // weight: output channels, window
  int64_t oh = 0, ow = 0;              // output
  int64_t groups = 1;
  int64_t stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1;

  int64_t c_per_group() const { return c / groups; }
  int64_t o_per_group() const { return o / groups; }
  double flops() const { return 2.0 * n * oh * ow * o * kh * kw * c_per_group(); }
};

/// Of the operator conv2d; throws Error naming the argument, expected and found.
Conv2dSizes conv2d_sizes(const Shape& x, const Shape& w, const Attrs& attrs);
/// Of the operator conv_transpose2d(x [N,H,W,C], w [C, kh, kw, O/groups]): the convolution whose
/// backward-data it is, so that `oh, ow, o` are the sizes of x and `h, w, c` those of the result.
Conv2dSizes conv_transpose2d_sizes(const Shape& x, const Shape& w, const Attrs& attrs);

/// Calls f(n, oy, ox, ih, iw, ky, kx) for every output pixel and window position that falls inside
/// the input.
template <class F>
void for_each_window_position(const Conv2dSizes& s, F&& f) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t oy = 0; oy < s.oh; ++oy)
      for (int64_t ox = 0; ox < s.ow; ++ox)
        for (int64_t ky = 0; ky < s.kh; ++ky)
          for (int64_t kx = 0; kx < s.kw; ++kx) {
            const int64_t ih = oy * s.stride_h - s.pad_h + ky * s.dilation_h;
            const int64_t iw = ox * s.stride_w - s.pad_w + kx * s.dilation_w;
            if (ih >= 0 && ih < s.h && iw >= 0 && iw < s.w) f(n, oy, ox, ih, iw, ky, kx);
          }
}

/// Calls f(x index, w index, y index) for every product of the convolution: y[yi] = sum x[xi]
/// w[wi]. Sums are kept in double.
template <class F>
void for_each_product(const Conv2dSizes& s, F&& f) {
  const int64_t cg = s.c_per_group(), og = s.o_per_group();
  for_each_window_position(s, [&](int64_t n, int64_t oy, int64_t ox, int64_t ih, int64_t iw,
                                  int64_t ky, int64_t kx) {
    const int64_t x0 = ((n * s.h + ih) * s.w + iw) * s.c, y0 = ((n * s.oh + oy) * s.ow + ox) * s.o;
    for (int64_t o = 0; o < s.o; ++o) {
      const int64_t w0 = ((o * s.kh + ky) * s.kw + kx) * cg, xg = x0 + o / og * cg;
      for (int64_t i = 0; i < cg; ++i) f(xg + i, w0 + i, y0 + o);
    }
  });
}

/// y = conv(x, w); b may be null.
template <class T>
void conv2d_forward_reference(const Conv2dSizes& s, const T* x, const T* w, const T* b, T* y) {
  const int64_t count = s.n * s.oh * s.ow * s.o;
  std::vector<double> sum(static_cast<size_t>(count));
  if (b)
    for (int64_t i = 0; i < count; ++i) sum[i] = b[i % s.o];
  for_each_product(s,
                   [&](int64_t xi, int64_t wi, int64_t yi) { sum[yi] += double(x[xi]) * w[wi]; });
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<T>(sum[i]);
}

/// dx = the transpose of the convolution applied to dy, plus b [C] (the bias of conv_transpose2d;
/// null for a gradient).
template <class T>
void conv2d_backward_data_reference(const Conv2dSizes& s, const T* dy, const T* w, const T* b,
                                    T* dx) {
  const int64_t count = s.n * s.h * s.w * s.c;
  std::vector<double> sum(static_cast<size_t>(count));
  if (b)
    for (int64_t i = 0; i < count; ++i) sum[i] = b[i % s.c];
  for_each_product(s,
                   [&](int64_t xi, int64_t wi, int64_t yi) { sum[xi] += double(dy[yi]) * w[wi]; });
  for (int64_t i = 0; i < count; ++i) dx[i] = static_cast<T>(sum[i]);
}

/// dw = sum over output pixels of dy x.
template <class T>
void conv2d_backward_weight_reference(const Conv2dSizes& s, const T* x, const T* dy, T* dw) {
  const int64_t count = s.o * s.kh * s.kw * s.c_per_group();
  std::vector<double> sum(static_cast<size_t>(count));
  for_each_product(s,
                   [&](int64_t xi, int64_t wi, int64_t yi) { sum[wi] += double(x[xi]) * dy[yi]; });
  for (int64_t i = 0; i < count; ++i) dw[i] = static_cast<T>(sum[i]);
}

/// db[c] = sum over rows of d [rows, channels].
template <class T>
void column_sums_reference(int64_t rows, int64_t channels, const T* d, T* db) {
  std::vector<double> sum(static_cast<size_t>(channels));
  for (int64_t i = 0; i < rows * channels; ++i) sum[i % channels] += d[i];
  for (int64_t c = 0; c < channels; ++c) db[c] = static_cast<T>(sum[c]);
}

}  // namespace limbeck
