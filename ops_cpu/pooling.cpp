// Pooling and nearest upsampling, f32 on the CPU; formulas in ops/pooling.cpp. One image per part
// in the gradients, so that overlapping windows add in a fixed order; one row of windows per part
// in the forwards. Bytes: x once, y (and index) once. Upsampling is the transpose of a sum over
// blocks and shares its kernels.
#include "ops/pooling.h"

#include <cstring>

#include "ops_cpu/parallel.h"
#include "ops_cpu/pooling_kernels.h"

namespace limbeck::cpu_pooling {
namespace {

struct Range {
  int64_t begin, end, counted;
};

// The windows of any pooling over images of h x w pixels: one range per output row and per output
// column.
struct Windows {
  int64_t n, h, w, c;
  std::vector<Range> rows, columns;

  static Windows of(const char* op, const Shape& x, const Attrs& attrs) {
    const PoolGeometry g(op, x, attrs);
    Windows result{g.n, g.h, g.w, g.c, {}, {}};
    if (result.numel() == 0) return result;  // however many windows nothing may have
    for (int64_t o = 0; o < g.out_h; ++o)
      result.rows.push_back({g.rows(o).begin, g.rows(o).end, g.rows(o).counted});
    for (int64_t o = 0; o < g.out_w; ++o)
      result.columns.push_back({g.columns(o).begin, g.columns(o).end, g.columns(o).counted});
    return result;
  }
  static Windows adaptive(const Shape& x, const Attrs& attrs) {
    const auto [out_h, out_w] = attrs.pair("output", 1);
    Windows result{x[0], x[1], x[2], x[3], {}, {}};
    if (result.numel() == 0) return result;
    for (int64_t o = 0; o < out_h; ++o)
      result.rows.push_back(range(adaptive_window(o, x[1], out_h)));
    for (int64_t o = 0; o < out_w; ++o)
      result.columns.push_back(range(adaptive_window(o, x[2], out_w)));
    return result;
  }
  // scale x scale blocks of the upsampled image.
  static Windows blocks(const Shape& upsampled, int64_t scale) {
    Windows result{upsampled[0], upsampled[1], upsampled[2], upsampled[3], {}, {}};
    if (result.numel() == 0) return result;
    for (int64_t o = 0; o < upsampled[1]; o += scale) result.rows.push_back({o, o + scale, 1});
    for (int64_t o = 0; o < upsampled[2]; o += scale) result.columns.push_back({o, o + scale, 1});
    return result;
  }

  // Every pixel lies in exactly one window.
  bool tile_image() const {
    const auto tile = [](const std::vector<Range>& ranges, int64_t size) {
      int64_t at = 0;
      for (const Range& r : ranges) {
        if (r.begin != at) return false;
        at = r.end;
      }
      return at == size;
    };
    return tile(rows, h) && tile(columns, w);
  }
  PoolWindow window(size_t oh, size_t ow) const {
    return {w, c, rows[oh].begin, rows[oh].end, columns[ow].begin, columns[ow].end};
  }
  float divisor(size_t oh, size_t ow) const {
    return float(rows[oh].counted * columns[ow].counted);
  }
  int64_t image() const { return h * w * c; }
  int64_t numel() const { return n * image(); }

 private:
  static Range range(std::pair<int64_t, int64_t> r) {
    return {r.first, r.second, r.second - r.first};
  }
};

// Calls f(image's first element, pooled element, row, column) for every window, rows of windows in
// parallel.
template <class F>
void each_window(const Windows& k, F&& f) {
  const auto out_h = int64_t(k.rows.size()), out_w = int64_t(k.columns.size());
  if (k.numel() == 0) return;
  parallel_parts(k.n * out_h, k.numel(), [&](int64_t part) {
    for (int64_t ow = 0; ow < out_w; ++ow)
      f(part / out_h * k.image(), (part * out_w + ow) * k.c, size_t(part % out_h), size_t(ow));
  });
}

// The same for gradients: an image at a time, cleared first unless the windows write all of it. f
// takes `overwrite` in addition.
template <class F>
void each_window_gradient(const Windows& k, float* dx, F&& f) {
  if (k.tile_image())
    return each_window(
        k, [&](int64_t image, int64_t at, size_t oh, size_t ow) { f(image, at, oh, ow, true); });
  const auto out_h = int64_t(k.rows.size()), out_w = int64_t(k.columns.size());
  parallel_parts(k.n, k.numel(), [&](int64_t n) {
    std::memset(dx + n * k.image(), 0, size_t(k.image()) * sizeof(float));
    for (int64_t oh = 0; oh < out_h; ++oh)
      for (int64_t ow = 0; ow < out_w; ++ow)
        f(n * k.image(), ((n * out_h + oh) * out_w + ow) * k.c, size_t(oh), size_t(ow), false);
  });
}

void max_forward(const ForwardCall& call) {
  const PoolingKernels& kernels = pooling_kernels();
  const Windows k = Windows::of("max_pool2d", call.in[0].shape(), call.attrs);
  const float* x = call.in[0].data<float>();
  float* y = call.out[0].data<float>();
  int32_t* index = call.out[1].data<int32_t>();
  each_window(k, [&](int64_t image, int64_t at, size_t oh, size_t ow) {
    kernels.maximum(x + image, k.window(oh, ow), y + at, index + at);
  });
}

void max_backward(const BackwardCall& call) {
  if (!call.din[0].defined()) return;
  const PoolingKernels& kernels = pooling_kernels();
  const Windows k = Windows::of("max_pool2d", call.din[0].shape(), call.attrs);
  const float* dy = call.dout[0].data<float>();
  const int32_t* index = call.out[1].data<int32_t>();
  float* dx = call.din[0].data<float>();
  each_window_gradient(k, dx, [&](int64_t image, int64_t at, size_t oh, size_t ow, bool overwrite) {
    kernels.maximum_gradient(dy + at, index + at, k.window(oh, ow), overwrite, dx + image);
  });
}

// Sums over the windows of `image`, divided when `average`.
void sums(const Windows& k, const Tensor& image, bool average, const Tensor& pooled) {
  const PoolingKernels& kernels = pooling_kernels();
  const float* x = image.data<float>();
  float* y = pooled.data<float>();
  each_window(k, [&](int64_t first, int64_t at, size_t oh, size_t ow) {
    kernels.sum(x + first, k.window(oh, ow), average ? 1 / k.divisor(oh, ow) : 1.0f, y + at);
  });
}

// The transpose: each pooled value spread over its window.
void spread(const Windows& k, const Tensor& pooled, bool average, const Tensor& image) {
  const PoolingKernels& kernels = pooling_kernels();
  const float* dy = pooled.data<float>();
  float* dx = image.data<float>();
  each_window_gradient(k, dx, [&](int64_t first, int64_t at, size_t oh, size_t ow, bool overwrite) {
    kernels.spread(dy + at, k.window(oh, ow), average ? 1 / k.divisor(oh, ow) : 1.0f, overwrite,
                   dx + first);
  });
}

void avg_forward(const ForwardCall& c) {
  sums(Windows::of("avg_pool2d", c.in[0].shape(), c.attrs), c.in[0], true, c.out[0]);
}
void avg_backward(const BackwardCall& c) {
  if (c.din[0].defined())
    spread(Windows::of("avg_pool2d", c.din[0].shape(), c.attrs), c.dout[0], true, c.din[0]);
}
void adaptive_forward(const ForwardCall& c) {
  sums(Windows::adaptive(c.in[0].shape(), c.attrs), c.in[0], true, c.out[0]);
}
void adaptive_backward(const BackwardCall& c) {
  if (c.din[0].defined())
    spread(Windows::adaptive(c.din[0].shape(), c.attrs), c.dout[0], true, c.din[0]);
}
void upsample_forward(const ForwardCall& c) {
  spread(Windows::blocks(c.out[0].shape(), c.attrs.integer("scale", 2)), c.in[0], false, c.out[0]);
}
void upsample_backward(const BackwardCall& c) {
  if (c.din[0].defined())
    sums(Windows::blocks(c.dout[0].shape(), c.attrs.integer("scale", 2)), c.dout[0], false,
         c.din[0]);
}

const RegisterKernel max_pool2d(
    {.op = "max_pool2d", .name = "cpu", .forward = max_forward, .backward = max_backward});
const RegisterKernel avg_pool2d(
    {.op = "avg_pool2d", .name = "cpu", .forward = avg_forward, .backward = avg_backward});
const RegisterKernel adaptive_avg_pool2d({.op = "adaptive_avg_pool2d",
                                          .name = "cpu",
                                          .forward = adaptive_forward,
                                          .backward = adaptive_backward});
const RegisterKernel upsample_nearest({.op = "upsample_nearest",
                                       .name = "cpu",
                                       .forward = upsample_forward,
                                       .backward = upsample_backward});

}  // namespace
}  // namespace limbeck::cpu_pooling
