// diffaugment: differentiable augmentation of image batches, policy color, translation, cutout, in
// this order (Zhao et al., "Differentiable augmentation for data-efficient GAN training", NeurIPS
// 2020; DiffAugment_pytorch.py).
//
//   x [N,H,W,C], parameters [N,7] per image: brightness b, saturation s, contrast k, shift (th,
//   tw), cut corner (oh, ow)
//   a = x + b;  a = s (a - m) + m, m = mean over C of the pixel;  a = k (a - M) + M, M = mean over
//               H,W,C of the image
//   y[h,w] = a[h + th, w + tw], 0 outside;  y = 0 for oh - ch/2 <= h < oh - ch/2 + ch and the same
//                                           in w, with cutout = [ch, cw]
// Backward is the transpose of each step. Nothing is clamped. 5 FLOPs and 2 reads + 1 write per
// element when fused.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/checks.h"

namespace limbeck::diffaugment_op {
namespace {

constexpr int64_t parameters_per_image = 7;

template <class T>
struct Augmented {
  T brightness, saturation, contrast;
  int64_t shift_h, shift_w, cut_top, cut_left;
  Augmented(const T* p, std::pair<int64_t, int64_t> cut)
      : brightness(p[0]),
        saturation(p[1]),
        contrast(p[2]),
        shift_h(std::llround(p[3])),
        shift_w(std::llround(p[4])),
        cut_top(std::llround(p[5]) - cut.first / 2),
        cut_left(std::llround(p[6]) - cut.second / 2) {}
  bool is_cut(int64_t h, int64_t w, std::pair<int64_t, int64_t> cut) const {
    return h >= cut_top && h < cut_top + cut.first && w >= cut_left && w < cut_left + cut.second;
  }
};

std::vector<TensorSpec> infer(const Tensors& in, const Attrs& attrs) {
  check_image("diffaugment", "x", in[0]);
  check_parameter("diffaugment", "parameters", in[1], in[0], {in[0].size(0), parameters_per_image});
  size_pair("diffaugment", attrs, "cutout", 0, 0);
  return {{in[0].shape(), in[0].dtype()}};
}

/// Calls f(output offset, input offset) of the first channel for every output pixel that shows an
/// input pixel.
template <class T, class F>
void for_each_visible(const Augmented<T>& a, std::pair<int64_t, int64_t> cut, int64_t H, int64_t W,
                      int64_t C, F&& f) {
  for (int64_t h = 0; h < H; ++h)
    for (int64_t w = 0; w < W; ++w) {
      const int64_t from_h = h + a.shift_h, from_w = w + a.shift_w;
      if (from_h < 0 || from_h >= H || from_w < 0 || from_w >= W || a.is_cut(h, w, cut)) continue;
      f((h * W + w) * C, (from_h * W + from_w) * C);
    }
}

template <class T>
void forward(const ForwardCall& call) {
  const Tensor& x = call.in[0];
  const int64_t N = x.size(0), H = x.size(1), W = x.size(2), C = x.size(3), image = H * W * C;
  const auto cut = call.attrs.pair("cutout", 0);
  std::vector<T> a(image);
  for (int64_t n = 0; n < N; ++n) {
    const Augmented<T> p(call.in[1].data<T>() + n * parameters_per_image, cut);
    const T* xn = x.data<T>() + n * image;
    T* y = call.out[0].data<T>() + n * image;
    double total = 0;
    for (int64_t i = 0; i < H * W; ++i) {
      T mean = 0;
      for (int64_t c = 0; c < C; ++c) mean += (xn[i * C + c] + p.brightness) / T(C);
      for (int64_t c = 0; c < C; ++c)
        total += a[i * C + c] = p.saturation * (xn[i * C + c] + p.brightness - mean) + mean;
    }
    const T mean = image ? T(total / double(image)) : T(0);
    for (T& v : a) v = p.contrast * (v - mean) + mean;
    std::fill(y, y + image, T(0));
    for_each_visible(p, cut, H, W, C,
                     [&](int64_t to, int64_t from) { std::copy_n(a.data() + from, C, y + to); });
  }
}

template <class T>
void backward(const BackwardCall& call) {
  const Tensor& dx = call.din[0];
  if (!dx.defined()) return;
  const int64_t N = dx.size(0), H = dx.size(1), W = dx.size(2), C = dx.size(3), image = H * W * C;
  const auto cut = call.attrs.pair("cutout", 0);
  for (int64_t n = 0; n < N; ++n) {
    const Augmented<T> p(call.in[1].data<T>() + n * parameters_per_image, cut);
    const T* dy = call.dout[0].data<T>() + n * image;
    T* g = dx.data<T>() + n * image;
    std::fill(g, g + image, T(0));
    for_each_visible(p, cut, H, W, C,
                     [&](int64_t to, int64_t from) { std::copy_n(dy + to, C, g + from); });
    double total = 0;
    for (int64_t i = 0; i < image; ++i) total += g[i];
    const T through_mean = T((1 - p.contrast) * total / double(std::max<int64_t>(image, 1)));
    for (int64_t i = 0; i < H * W; ++i) {
      T mean = 0;
      for (int64_t c = 0; c < C; ++c)
        mean += (g[i * C + c] = p.contrast * g[i * C + c] + through_mean) / T(C);
      for (int64_t c = 0; c < C; ++c)
        g[i * C + c] = p.saturation * g[i * C + c] + (1 - p.saturation) * mean;
    }
  }
}

OpCase make_case(const Shape& x, std::vector<int64_t> cutout, double reach) {
  return {.inputs = {{x}, {{x[0], parameters_per_image}, -reach, reach}},
          .attrs = {{"cutout", std::move(cutout)}}};
}

const RegisterOp registered({
    .name = "diffaugment",
    .formula = "y = cut(shift(contrast(saturate(x + b)))) with per-image parameters; dx = the "
               "transposed steps in reverse",
    .source = "Zhao et al. 2020, DiffAugment_pytorch.py",
    .inputs = {{"x"}, {"parameters", false, false, true}},
    .outputs = {{"y"}},
    .saved_inputs = {1},
    .infer = infer,
    .forward = floating<ForwardCall, [](auto t, const ForwardCall& c) { forward<decltype(t)>(c); }>,
    .backward =
        floating<BackwardCall, [](auto t, const BackwardCall& c) { backward<decltype(t)>(c); }>,
    .cases = {make_case({2, 8, 8, 3}, {4, 4}, 3), make_case({1, 5, 7, 1}, {3, 2}, 2),
              make_case({3, 6, 4, 3}, {0, 0}, 8), make_case({2, 4, 4, 5}, {2, 2}, 1),
              make_case({0, 4, 4, 3}, {2, 2}, 1), make_case({4, 32, 32, 3}, {16, 16}, 5)},
    .flops = [](const Tensors& in,
                const Attrs&) { return 5.0 * static_cast<double>(in[0].numel()); },
    .images = true,
});

}  // namespace
}  // namespace limbeck::diffaugment_op
