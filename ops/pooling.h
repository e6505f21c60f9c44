// Geometry of 2-D pooling windows.
#pragma once
#include <algorithm>
#include <utility>

#include "ops/op.h"

namespace limbeck {

/// Settings of max_pool2d and avg_pool2d, read from attributes and checked against the image:
/// kernel (default 2), stride (default kernel), padding (default 0, at most half the kernel),
/// ceil_mode (false), count_include_pad (true).
struct PoolGeometry {
  int64_t n, h, w, c, out_h, out_w;
  std::pair<int64_t, int64_t> kernel, stride, padding;
  bool count_include_pad;
  /// Throws naming the attribute.
  PoolGeometry(const char* op, const Shape& x, const Attrs& attrs);

  /// Rows [begin, end) (of the image) under output row o, and how many rows count for the average.
  struct Window {
    int64_t begin, end, counted;
  };
  Window rows(int64_t o) const { return window(o, kernel.first, stride.first, padding.first, h); }
  Window columns(int64_t o) const {
    return window(o, kernel.second, stride.second, padding.second, w);
  }
  Shape output() const { return {n, out_h, out_w, c}; }

 private:
  Window window(int64_t o, int64_t k, int64_t s, int64_t p, int64_t size) const {
    const int64_t begin = o * s - p, end = std::min(begin + k, size + p);
    const int64_t inside_begin = std::max<int64_t>(begin, 0), inside_end = std::min(end, size);
    return {inside_begin, inside_end, count_include_pad ? end - begin : inside_end - inside_begin};
  }
};

/// Rows [first, second) under output row o of adaptive pooling from `size` to `out` rows: floor(o
/// size / out), ceil((o + 1) size / out).
inline std::pair<int64_t, int64_t> adaptive_window(int64_t o, int64_t size, int64_t out) {
  return {o * size / out, ((o + 1) * size + out - 1) / out};
}

}  // namespace limbeck
