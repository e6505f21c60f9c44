// The tiles of a Winograd convolution F(4x4, 3x3): 4x4 outputs, and the 6x6 inputs that they see,
// of images [N, H, W, C].
#pragma once
#include <algorithm>

#include "ops_cpu/winograd_kernels.h"

namespace limbeck {

/// Tile t covers outputs (4 y .. 4 y + 3, 4 x .. 4 x + 3) of image n, t = (n rows + y) columns + x.
/// A convolution's backward-data is the same walk with input and output exchanged and padding 2 -
/// pad.
struct WinogradTiles {
  int64_t images, in_h, in_w, out_h, out_w, pad_h, pad_w;
  int64_t rows() const { return (out_h + kWinogradOut - 1) / kWinogradOut; }
  int64_t columns() const { return (out_w + kWinogradOut - 1) / kWinogradOut; }
  int64_t count() const { return images * rows() * columns(); }

  /// Pointers to the tile's input pixels, `outside` for the padding.
  void inputs(int64_t tile, const float* in, int64_t channels, const float* outside,
              const float* (&to)[kWinogradPoints]) const {
    const int64_t x = tile % columns() * kWinogradOut - pad_w,
                  y = tile / columns() % rows() * kWinogradOut - pad_h;
    list<kWinogradIn>(in + tile / (rows() * columns()) * in_h * in_w * channels, y, x, in_h, in_w,
                      channels, outside, to);
  }
  /// Pointers to the tile's output pixels, `outside` for those beyond the image. P: float* or const
  /// float*.
  template <class P>
  void outputs(int64_t tile, P out, int64_t channels, P outside,
               P (&to)[kWinogradOut * kWinogradOut]) const {
    const int64_t x = tile % columns() * kWinogradOut, y = tile / columns() % rows() * kWinogradOut;
    list<kWinogradOut>(out + tile / (rows() * columns()) * out_h * out_w * channels, y, x, out_h,
                       out_w, channels, outside, to);
  }

 private:
  template <int64_t Size, class P>
  static void list(P image, int64_t y0, int64_t x0, int64_t h, int64_t w, int64_t channels,
                   P outside, P* to) {
    for (int64_t y = y0; y < y0 + Size; ++y)
      for (int64_t x = x0; x < x0 + Size; ++x)
        *to++ = y >= 0 && y < h && x >= 0 && x < w ? image + (y * w + x) * channels : outside;
  }
};

/// Floats between the points of transformed data: a line more than the points take, so that the 36
/// streams of a transform do not fall on the same sets of the cache.
inline int64_t winograd_stride(int64_t floats) { return floats + 16; }

}  // namespace limbeck
