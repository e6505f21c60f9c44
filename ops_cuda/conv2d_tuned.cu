// Convolution as a product of matrices that are never stored (implicit GEMM); formulas in
// conv2d.cu, tiles, shared memory and determinism in implicit_gemm.h. Images are stored in f32
// (multiplied as precision.h says) or in bf16 (x, y, dx, dy; multiplied in bf16); weights, biases,
// their gradients and all sums are f32. Per group of the channels, with taps (ky, kx):
//   forward          y  [pixels of y, O/G]         = windows of x [pixels of y, (taps, C/G)]
//                                                  times  w [O/G, (taps, C/G)]^T
//   backward-data    dx [pixels of one phase, C/G] = windows of dy [pixels, (its taps, O/G)]
//                    times  w [(its taps, O/G), C/G]
//   backward-weight  dw [(taps, C/G), O/G]         = windows of x [pixels of y, (taps, C/G)]^T
//                                                  times dy [pixels of y, O/G]
// A phase: positions of dx with the same remainder modulo the stride meet the same taps, so no
// inserted zero is multiplied; stride 2 has four phases, which are items of one launch. 1x1 windows
// with stride 1 and no padding are stored matrices and go to gemm(); groups with one channel in and
// out go to conv2d_depthwise.cu. x, y, w etc. as in conv2d.cu; every result is overwritten. FLOPs:
// 2 N OH OW O kh kw C/G each. Bytes at best: both operands and the result once; in tiles of R x S
// sums each operand is read O/S (or pixels/R) times, windows overlap in the caches; bf16 images
// halve what is not weights, and large products round the weights first (6 bytes a weight) to halve
// those, too. Source: Chetlur et al., cuDNN, 2014 (lowering in shared memory).
#include <numeric>
#include <type_traits>

#include "ops/convolution_calls.h"
#include "ops_cuda/column_sums.h"
#include "ops_cuda/conv2d_depthwise.h"
#include "ops_cuda/conv2d_naive.h"
#include "ops_cuda/gemm.h"
#include "ops_cuda/implicit_gemm.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

// --- windows of x --------------------------------------------------------------------------------
/// Element (pixel of y, (tap, i)) is x at that tap of the pixel's window, zero in the padding.
template <class S>
struct Windows {
  using Element = S;
  const S* data = nullptr;
  int width = 1;
  int h, w, c, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  FastDivision per_image, per_row, per_tap, per_window_row;  // pixels, pixels, C/G, taps

  struct Pixel {
    int offset, y, x;
  };
  struct Tap {
    int offset, y, x;
  };
  __device__ Pixel pixel(int p) const {
    const int n = per_image.quotient(p), rest = p - n * per_image.divisor,
              oy = per_row.quotient(rest);
    const int y = oy * stride_h - pad_h, x = (rest - oy * per_row.divisor) * stride_w - pad_w;
    return {((n * h + y) * w + x) * c, y, x};
  }
  __device__ Tap tap(int k) const {
    const int t = per_tap.quotient(k), ky = per_window_row.quotient(t);
    const int y = ky * dilation_h, x = (t - ky * per_window_row.divisor) * dilation_w;
    return {(y * w + x) * c + k - t * per_tap.divisor, y, x};
  }
  __device__ const S* element(const Pixel& p, const Tap& t) const {
    const bool inside = static_cast<unsigned>(p.y + t.y) < static_cast<unsigned>(h) &&
                        static_cast<unsigned>(p.x + t.x) < static_cast<unsigned>(w);
    return inside ? data + (p.offset + t.offset) : nullptr;
  }
};
template <class S>
struct WindowsByPixel : Windows<S> {
  static constexpr bool k_contiguous = true;
  using Row = typename Windows<S>::Pixel;
  using Step = typename Windows<S>::Tap;
  __device__ Row row(int r) const { return this->pixel(r); }
  __device__ Step step(int k) const { return this->tap(k); }
  __device__ const S* at(const Row& row, const Step& step) const {
    return this->element(row, step);
  }
};
template <class S>
struct WindowsByTap : Windows<S> {
  static constexpr bool k_contiguous = false;
  using Row = typename Windows<S>::Tap;
  using Step = typename Windows<S>::Pixel;
  __device__ Row row(int r) const { return this->tap(r); }
  __device__ Step step(int k) const { return this->pixel(k); }
  __device__ const S* at(const Row& row, const Step& step) const {
    return this->element(step, row);
  }
};

template <class W>
W windows(const Conv2dSizes& s, const typename W::Element* x) {
  const auto i = [](int64_t v) { return static_cast<int>(v); };
  W w;
  w.data = x;
  w.width = copy_width(x, {s.c_per_group()});
  w.h = i(s.h), w.w = i(s.w), w.c = i(s.c), w.stride_h = i(s.stride_h), w.stride_w = i(s.stride_w),
  w.pad_h = i(s.pad_h), w.pad_w = i(s.pad_w);
  w.dilation_h = i(s.dilation_h), w.dilation_w = i(s.dilation_w);
  w.per_image = FastDivision(s.oh * s.ow), w.per_row = FastDivision(s.ow),
  w.per_tap = FastDivision(s.c_per_group()), w.per_window_row = FastDivision(s.kw);
  return w;
}

template <bool k_contiguous, class E>
StoredMatrix<E, k_contiguous> stored(const E* data, int64_t pitch, int64_t k, int64_t contiguous) {
  StoredMatrix<E, k_contiguous> m;
  m.data = data;
  m.width = copy_width(data, {contiguous, pitch});
  m.pitch = static_cast<int>(pitch);
  m.inner = FastDivision(std::max<int64_t>(1, k));
  return m;
}

template <class A_, class B_, class Out>
struct ItemOf {
  A_ a;
  B_ b;
  int m, n, k;
  Out* out;
  const float* bias;
};

template <class S, class W>
struct ForwardProblem {
  using A = WindowsByPixel<S>;
  using B = StoredMatrix<W, true>;
  using Item = ItemOf<A, B, S>;
  A a;                       // x
  B b;                       // w
  int pixels, o, og, cg, k;  // o: channels of y
  S* y;
  const float* bias;
  bool pairs;
  int column_stride = 1;

  __device__ Item item(int g) const {
    Item i{a, b, pixels, og, k, y + g * og, bias ? bias + g * og : nullptr};
    i.a.data += g * cg;
    i.b.data += int64_t{g} * og * k;
    return i;
  }
  __device__ int row_offset(const Item&, int m) const { return m * o; }
};

template <class S>
struct WeightProblem {
  using A = WindowsByTap<S>;
  using B = StoredMatrix<S, false>;
  using Item = ItemOf<A, B, float>;
  A a;                       // x
  B b;                       // dy
  int taps, og, cg, pixels;  // taps: kh kw C/G
  float* dw;
  int column_stride;

  __device__ Item item(int g) const {
    Item i{a, b, taps, og, pixels, dw + int64_t{g} * og * taps, nullptr};
    i.a.data += g * cg;
    i.b.data += g * og;
    return i;
  }
  __device__ int row_offset(const Item&, int m) const { return m; }
};

// --- backward-data -------------------------------------------------------------------------------
/// Positions first, first + stride, .. of one axis of dx. Position `first + stride t` receives dy
/// at t + shift - j * reach through tap first_tap + j * tap_step, for j < taps.
struct Phase {
  int first, count, first_tap, taps, shift;
  FastDivision by_taps;
};
struct Axis {
  int size, out_size, window, stride, pad, dilation;
  int phases, tap_step, reach;
  FastDivision by_fewest, by_most;  // taps of a phase: window / tap_step, rounded down or up

  __device__ Phase phase(int first) const {
    Phase p{first, (size - first + stride - 1) / stride, 0, 0, 0, by_most};
    while (p.first_tap < window && p.first_tap < tap_step &&
           (first + pad - p.first_tap * dilation) % stride != 0)
      ++p.first_tap;
    if (p.first_tap >= window || p.first_tap >= tap_step) return p;
    p.taps = (window - 1 - p.first_tap) / tap_step + 1;
    p.shift = (first + pad - p.first_tap * dilation) / stride;
    if (p.taps == by_fewest.divisor) p.by_taps = by_fewest;
    return p;
  }
};
Axis axis(int64_t size, int64_t out_size, int64_t window, int64_t stride, int64_t pad,
          int64_t dilation) {
  const int64_t common = std::gcd(stride, dilation);
  const auto i = [](int64_t v) { return static_cast<int>(v); };
  return {i(size),
          i(out_size),
          i(window),
          i(stride),
          i(pad),
          i(dilation),
          i(std::min(stride, size)),
          i(stride / common),
          i(dilation / common),
          FastDivision(std::max<int64_t>(1, window * common / stride)),
          FastDivision(ceil_div(window * common, stride))};
}

/// Element (pixel of the phase, (tap of the phase, o)) is dy where that tap comes from, zero
/// outside.
template <class S>
struct GradientWindows {
  static constexpr bool k_contiguous = true;
  using Element = S;
  const S* data = nullptr;
  int width = 1;
  int oh, ow, o, step_y, step_x;  // from one tap to the next: towards zero, so negative
  FastDivision per_tap;           // O/G
  Phase y, x;

  struct Row {
    int offset, y, x;
  };
  struct Step {
    int offset, y, x;
  };
  __device__ Row row(int r) const {
    const int line = r / x.count, n = line / y.count, py = line - n * y.count + y.shift,
              px = r - line * x.count + x.shift;
    return {((n * oh + py) * ow + px) * o, py, px};
  }
  __device__ Step step(int k) const {
    const int t = per_tap.quotient(k), ty = x.by_taps.quotient(t), py = ty * step_y,
              px = (t - ty * x.taps) * step_x;
    return {(py * ow + px) * o + k - t * per_tap.divisor, py, px};
  }
  __device__ const S* at(const Row& r, const Step& s) const {
    const bool inside = static_cast<unsigned>(r.y + s.y) < static_cast<unsigned>(oh) &&
                        static_cast<unsigned>(r.x + s.x) < static_cast<unsigned>(ow);
    return inside ? data + (r.offset + s.offset) : nullptr;
  }
};

/// Row i of the right operand: w[o, ky, kx, i] over (tap of the phase, o).
template <class W>
struct WeightsByTap {
  static constexpr bool k_contiguous = false;
  using Element = W;
  using Row = int;
  using Step = int;
  const W* data = nullptr;
  int width = 1;
  int pitch, step_y, step_x,
      first =
          0;  // from o to o + 1, from one tap of the phase to the next along y and x; its first tap
  FastDivision per_tap, per_line;  // O/G, taps of the phase along x

  __device__ Row row(int r) const { return r; }
  __device__ Step step(int k) const {
    const int t = per_tap.quotient(k), o = k - t * per_tap.divisor, ty = per_line.quotient(t);
    return o * pitch + first + ty * step_y + (t - ty * per_line.divisor) * step_x;
  }
  __device__ const W* at(Row row, Step step) const { return data + row + step; }
};

template <class S, class W>
struct DataProblem {
  using A = GradientWindows<S>;
  using B = WeightsByTap<W>;
  struct Item : ItemOf<A, B, S> {
    int first_y, first_x;
  };
  A a;  // dy
  B b;  // w
  Axis y, x;
  int n, h, width, c, cg, og;
  S* dx;
  const float* bias;  // of a transposed convolution
  bool pairs;
  int column_stride = 1;

  __device__ Item item(int z) const {
    const int px = z % x.phases, py = z / x.phases % y.phases, g = z / x.phases / y.phases;
    Item i{{a, b, 0, cg, 0, dx + g * cg, bias ? bias + g * cg : nullptr}, py, px};
    i.a.y = y.phase(py), i.a.x = x.phase(px);
    i.m = n * i.a.y.count * i.a.x.count;
    i.k = i.a.y.taps * i.a.x.taps * og;
    i.a.data += g * og;
    i.b.data += int64_t{g} * og * b.pitch;
    i.b.first = (i.a.y.first_tap * x.window + i.a.x.first_tap) * cg, i.b.per_line = i.a.x.by_taps;
    return i;
  }
  __device__ int row_offset(const Item& i, int m) const {
    const int line = m / i.a.x.count, image = line / i.a.y.count;
    const int iy = i.first_y + (line - image * i.a.y.count) * y.stride,
              ix = i.first_x + (m - line * i.a.x.count) * x.stride;
    return ((image * h + iy) * width + ix) * c;
  }
};

// --- the three directions ------------------------------------------------------------------------
bool is_gemm(const Conv2dSizes& s) {
  return s.kh == 1 && s.kw == 1 && s.stride_h == 1 && s.stride_w == 1 && s.pad_h == 0 &&
         s.pad_w == 0;
}
bool is_depthwise(const Conv2dSizes& s) {
  return s.groups > 1 && s.groups == s.c && s.groups == s.o;
}

template <class Problem>
void run(const Problem& p, int64_t items, int64_t m, int64_t n, int64_t k, const Tensor& to) {
  // Images with weights that were rounded before: large products only.
  if constexpr (is_stored_in_bf16<typename Problem::B> && std::is_same_v<OutOf<Problem>, bfloat16>)
    run_products<Tile64x64, Tile128x128>(p, items, m, n, k, to);
  else
    run_products<Tile64x64, Tile128x128, Tile128x32, Tile128x16>(p, items, m, n, k, to);
}

/// Whether bf16 images meet weights that one more launch has rounded to bf16. Weights in f32 are
/// twice the traffic of shared memory, which binds wide tiles, and are rounded again by every
/// block; small products cannot pay for the launch.
bool rounds_weights_first(int64_t rows, int64_t columns, double flops) {
  if (execution().cuts.round_weights >= 0) return execution().cuts.round_weights > 0;
  return columns > 32 && rows >= 2048 && flops >= 4e9;
}
const float* pointer(const Tensor& t) { return t ? t.data<float>() : nullptr; }

/// Whether results of neighbouring channels can be written two at a time.
template <class S>
bool in_pairs(const S* p, int64_t channels, int64_t per_group) {
  return channels % 2 == 0 && per_group % 2 == 0 && aligned_for(2, p);
}

/// W: the type of w.
template <class S, class W>
void convolve_with(const Conv2dSizes& s, const Tensor& x, const Tensor& w, const Tensor& b,
                   const Tensor& y) {
  const int64_t pixels = s.n * s.oh * s.ow, cg = s.c_per_group(), og = s.o_per_group(),
                k = s.kh * s.kw * cg;
  if (is_gemm(s))
    return gemm<S, W, S>({.a = {x.data<S>(), true, s.c, cg},
                          .b = {w.data<W>(), true, cg, og * cg},
                          .bias = pointer(b),
                          .c = y.data<S>(),
                          .c_row = s.o,
                          .c_item = og,
                          .m = pixels,
                          .n = og,
                          .k = cg,
                          .items = s.groups},
                         y);
  const auto i = [](int64_t v) { return static_cast<int>(v); };
  const ForwardProblem<S, W> p{windows<WindowsByPixel<S>>(s, x.data<S>()),
                               stored<true>(w.data<W>(), k, k, k),
                               i(pixels),
                               i(s.o),
                               i(og),
                               i(cg),
                               i(k),
                               y.data<S>(),
                               pointer(b),
                               in_pairs(y.data<S>(), s.o, og)};
  run(p, s.groups, pixels, og, k, y);
}

template <class S>
void convolve(const Conv2dSizes& s, const Tensor& x, const Tensor& w, const Tensor& b,
              const Tensor& y) {
  if (y.numel() == 0) return;
  if (is_depthwise(s)) return depthwise_forward<S>(s, x, w, b, y);
  if constexpr (std::is_same_v<S, bfloat16>)
    if (rounds_weights_first(s.n * s.oh * s.ow, s.o_per_group(), s.flops()))
      return convolve_with<S, S>(s, x, w.to(DType::bf16), b, y);
  convolve_with<S, float>(s, x, w, b, y);
}

template <class S, class W>
void backward_data_with(const Conv2dSizes& s, const Tensor& dy, const Tensor& w, const Tensor& b,
                        const Tensor& dx) {
  const int64_t cg = s.c_per_group(), og = s.o_per_group();
  if (is_gemm(s))
    return gemm<S, W, S>({.a = {dy.data<S>(), true, s.o, og},
                          .b = {w.data<W>(), false, cg, og * cg},
                          .bias = pointer(b),
                          .c = dx.data<S>(),
                          .c_row = s.c,
                          .c_item = cg,
                          .m = s.n * s.h * s.w,
                          .n = cg,
                          .k = og,
                          .items = s.groups},
                         dx);
  const auto i = [](int64_t v) { return static_cast<int>(v); };
  DataProblem<S, W> p{.y = axis(s.h, s.oh, s.kh, s.stride_h, s.pad_h, s.dilation_h),
                      .x = axis(s.w, s.ow, s.kw, s.stride_w, s.pad_w, s.dilation_w),
                      .n = i(s.n),
                      .h = i(s.h),
                      .width = i(s.w),
                      .c = i(s.c),
                      .cg = i(cg),
                      .og = i(og),
                      .dx = dx.data<S>(),
                      .bias = pointer(b),
                      .pairs = in_pairs(dx.data<S>(), s.c, cg)};
  p.a.data = dy.data<S>();
  p.a.width = copy_width(p.a.data, {og});
  p.a.oh = i(s.oh), p.a.ow = i(s.ow), p.a.o = i(s.o), p.a.step_y = -p.y.reach,
  p.a.step_x = -p.x.reach;
  p.b.data = w.data<W>();
  p.b.width = copy_width(p.b.data, {cg});
  p.b.pitch = i(s.kh * s.kw * cg), p.b.step_y = i(p.y.tap_step * s.kw * cg),
  p.b.step_x = i(p.x.tap_step * cg);
  p.a.per_tap = p.b.per_tap = FastDivision(og);
  const int64_t most_pixels = s.n * ceil_div(s.h, s.stride_h) * ceil_div(s.w, s.stride_w);
  const int64_t most_taps = ceil_div(s.kh, p.y.tap_step) * ceil_div(s.kw, p.x.tap_step);
  run(p, s.groups * p.y.phases * p.x.phases, most_pixels, cg, most_taps * og, dx);
}

template <class S>
void backward_data(const Conv2dSizes& s, const Tensor& dy, const Tensor& w, const Tensor& b,
                   const Tensor& dx) {
  if (dx.numel() == 0) return;
  if (is_depthwise(s)) return depthwise_backward_data<S>(s, dy, w, b, dx);
  if constexpr (std::is_same_v<S, bfloat16>)
    if (rounds_weights_first(s.n * s.h * s.w, s.c_per_group(), s.flops()))
      return backward_data_with<S, S>(s, dy, w.to(DType::bf16), b, dx);
  backward_data_with<S, float>(s, dy, w, b, dx);
}

template <class S>
void backward_weight(const Conv2dSizes& s, const Tensor& x, const Tensor& dy, const Tensor& dw) {
  if (is_depthwise(s)) return depthwise_backward_weight<S>(s, x, dy, dw);
  const int64_t pixels = s.n * s.oh * s.ow, cg = s.c_per_group(), og = s.o_per_group(),
                taps = s.kh * s.kw * cg;
  if (is_gemm(s))
    return gemm<S, S, float>({.a = {dy.data<S>(), false, s.o, og},
                              .b = {x.data<S>(), false, s.c, cg},
                              .c = dw.data<float>(),
                              .c_row = cg,
                              .c_item = og * cg,
                              .m = og,
                              .n = cg,
                              .k = pixels,
                              .items = s.groups},
                             dw);
  const auto i = [](int64_t v) { return static_cast<int>(v); };
  const WeightProblem<S> p{windows<WindowsByTap<S>>(s, x.data<S>()),
                           stored<false>(dy.data<S>(), s.o, pixels, og),
                           i(taps),
                           i(og),
                           i(cg),
                           i(pixels),
                           dw.data<float>(),
                           i(taps)};
  run(p, s.groups, taps, og, pixels, dw);
}

/// 32-bit indices reach everything, padding included; groups of fewer than four channels waste the
/// tiles.
bool serves(const Conv2dSizes& s) {
  constexpr int64_t limit = largest_product, side = 1 << 20;
  if (std::max({s.h + 2 * s.pad_h, s.w + 2 * s.pad_w, s.oh, s.ow, s.stride_h, s.stride_w,
                s.dilation_h * s.kh, s.dilation_w * s.kw}) >= side)
    return false;
  const int64_t padded = (s.h + 2 * s.pad_h) * (s.w + 2 * s.pad_w);
  if (padded >= limit || s.oh * s.ow >= limit || s.c >= side || s.o >= side || s.n >= side)
    return false;
  if (static_cast<double>(s.n) * padded * s.c >= limit ||
      static_cast<double>(s.n) * s.oh * s.ow * s.o >= limit)
    return false;
  if (static_cast<double>(s.o) * s.kh * s.kw * s.c_per_group() >= limit ||
      s.kh * s.kw * std::max(s.c, s.o) >= limit)
    return false;
  if (is_depthwise(s)) return depthwise_serves(s);
  return s.groups == 1 || (s.c_per_group() >= 4 && s.o_per_group() >= 4);
}

using Calls = ConvolutionCalls<convolve<float>, backward_data<float>, backward_weight<float>,
                               sum_columns<float>>;

const RegisterTuned conv2d("conv2d", Calls::forward, Calls::backward,
                           [](const Tensors& in, const Attrs& a) {
                             return serves(Calls::sizes(in, a));
                           });
const RegisterTuned conv_transpose2d("conv_transpose2d", Calls::transpose_forward,
                                     Calls::transpose_backward,
                                     [](const Tensors& in, const Attrs& a) {
                                       return serves(Calls::transpose_sizes(in, a));
                                     });

// --- bf16 storage: no other kernel stands behind this one, so the naive ones serve what the tiles
void convolve_bf16(const Conv2dSizes& s, const Tensor& x, const Tensor& w, const Tensor& b,
                   const Tensor& y) {
  serves(s) ? convolve<bfloat16>(s, x, w, b, y) : naive_convolution<bfloat16, float>(s, x, w, b, y);
}
void backward_data_bf16(const Conv2dSizes& s, const Tensor& dy, const Tensor& w, const Tensor& b,
                        const Tensor& dx) {
  serves(s) ? backward_data<bfloat16>(s, dy, w, b, dx)
            : naive_backward_data<bfloat16, float>(s, dy, w, b, dx);
}
void backward_weight_bf16(const Conv2dSizes& s, const Tensor& x, const Tensor& dy,
                          const Tensor& dw) {
  serves(s) ? backward_weight<bfloat16>(s, x, dy, dw)
            : naive_backward_weight<bfloat16, float>(s, x, dy, dw);
}
using Bf16Calls = ConvolutionCalls<convolve_bf16, backward_data_bf16, backward_weight_bf16,
                                   sum_columns<bfloat16>>;

const RegisterTuned conv2d_bf16("conv2d", Bf16Calls::forward, Bf16Calls::backward, nullptr,
                                DType::bf16);
const RegisterTuned conv_transpose2d_bf16("conv_transpose2d", Bf16Calls::transpose_forward,
                                          Bf16Calls::transpose_backward, nullptr, DType::bf16);

}  // namespace
}  // namespace limbeck::cuda
