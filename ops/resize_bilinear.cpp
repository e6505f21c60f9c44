// resize_bilinear and reflect_pad2d: images of another size. Contract and reference.
//   resize_bilinear  y[h, w] = (1 - a) ((1 - b) x[t, l] + b x[t, r]) + a ((1 - b) x[u, l] + b x[u,
//                    r]), where (t, u, a) and (l, r, b) are the source position between two pixels
//                    (ops/resize.h);  dx = the same weights the other way
//   reflect_pad2d    y[h, w] = x[m(h - top, H), m(w - left, W)], m(i, n) = |i| below n, else
//                    2 n - 2 - i: mirrored at the pixels of the border;  dx = sum of dy over all
//                    images of a pixel
// x [N, H, W, C]. Source: elementary; positions as PyTorch's interpolate and ReflectionPad2d.
#include "ops/resize.h"

#include <utility>

#include "ops/cases.h"
#include "ops/checks.h"

namespace limbeck::resize_bilinear_op {
namespace {

std::vector<TensorSpec> infer_resize(const Tensors& in, const Attrs& attrs) {
  check_image("resize_bilinear", "x", in[0]);
  const auto [h, w] = size_pair("resize_bilinear", attrs, "output", 1, 1);
  LIMBECK_CHECK(in[0].size(1) >= 1 && in[0].size(2) >= 1,
                "resize_bilinear: 'x' must be images with pixels, found ", describe(in[0]));
  attrs.flag("align_corners");
  return {{{in[0].size(0), h, w, in[0].size(3)}, in[0].dtype()}};
}

/// f(element of y, element of x, weight) for the four neighbours of every element of y.
template <class F>
void each_neighbour(const Shape& x, const Shape& y, const Attrs& attrs, F&& f) {
  const bool corners = attrs.flag("align_corners");
  int64_t out = 0;
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t h = 0; h < y[1]; ++h)
      for (int64_t w = 0; w < y[2]; ++w) {
        const auto v = resize_source(h, x[1], y[1], corners),
                   u = resize_source(w, x[2], y[2], corners);
        for (int64_t c = 0; c < y[3]; ++c, ++out)
          for (const auto& [row, a] : {std::pair(v.first, 1 - v.weight), {v.second, v.weight}})
            for (const auto& [column, b] : {std::pair(u.first, 1 - u.weight), {u.second, u.weight}})
              f(out, ((n * x[1] + row) * x[2] + column) * x[3] + c, a * b);
      }
}

template <class T>
void resize_forward(const ForwardCall& c) {
  std::vector<double> y(static_cast<size_t>(c.out[0].numel()), 0.0);
  const T* x = c.in[0].data<T>();
  each_neighbour(
      c.in[0].shape(), c.out[0].shape(), c.attrs,
      [&](int64_t o, int64_t i, double weight) { y[static_cast<size_t>(o)] += weight * x[i]; });
  std::copy(y.begin(), y.end(), c.out[0].data<T>());
}

template <class T>
void resize_backward(const BackwardCall& c) {
  std::vector<double> dx(static_cast<size_t>(c.din[0].numel()), 0.0);
  const T* dy = c.dout[0].data<T>();
  each_neighbour(
      c.din[0].shape(), c.dout[0].shape(), c.attrs,
      [&](int64_t o, int64_t i, double weight) { dx[static_cast<size_t>(i)] += weight * dy[o]; });
  std::copy(dx.begin(), dx.end(), c.din[0].data<T>());
}

OpCase resize_case(const Shape& x, std::vector<int64_t> output, bool corners, bool grad = true) {
  return {{values(x)}, {{"output", std::move(output)}, {"align_corners", corners}}, grad};
}

const RegisterOp resize_op({
    .name = "resize_bilinear",
    .formula = "y[h, w] = weighted sum of the four pixels of x around the source position\n"
               "dx = the same weights the other way",
    .source = "elementary; positions as in PyTorch's interpolate",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .infer = infer_resize,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { resize_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { resize_backward<decltype(t)>(c); }>,
    .cases = {resize_case({2, 3, 4, 3}, {6, 8}, false), resize_case({2, 3, 4, 3}, {6, 7}, true),
              resize_case({1, 7, 5, 2}, {3, 4}, false), resize_case({1, 7, 5, 2}, {3, 1}, true),
              resize_case({1, 1, 1, 1}, {3, 2}, false), resize_case({1, 4, 1, 5}, {4, 1}, true),
              resize_case({0, 2, 3, 2}, {4, 5}, false),
              resize_case({3, 9, 7, 33}, {20, 13}, false, false),
              resize_case({2, 32, 32, 3}, {64, 64}, false, false),
              resize_case({2, 17, 13, 16}, {8, 5}, true, false)},
    .flops =
        [](const Tensors& in, const Attrs& a) {
          const auto [h, w] = a.pair("output", 1);
          return 8.0 * static_cast<double>(in[0].size(0) * h * w * in[0].size(3));
        },
    .images = true,
    .bench_cases = {resize_case({64, 32, 32, 64}, {64, 64}, false, false)},
});

std::vector<TensorSpec> infer_reflect(const Tensors& in, const Attrs& attrs) {
  check_image("reflect_pad2d", "x", in[0]);
  const auto p = attrs.integers("padding");
  LIMBECK_CHECK(p.size() == 4,
                "reflect_pad2d: attribute 'padding' must be [top, bottom, left, right], found ",
                to_string(attrs));
  const Shape& s = in[0].shape();
  for (int i = 0; i < 4; ++i)
    LIMBECK_CHECK(p[i] >= 0 && p[i] < s[1 + i / 2],
                  "reflect_pad2d: attribute 'padding' must be "
                  "from 0 to below the side that it mirrors, found ",
                  to_string(attrs), " for 'x' ", describe(in[0]));
  return {{{s[0], s[1] + p[0] + p[1], s[2] + p[2] + p[3], s[3]}, in[0].dtype()}};
}

/// f(element of y, element of x that it shows).
template <class F>
void each_reflected(const Shape& x, const Shape& y, const Attrs& attrs, F&& f) {
  const auto p = attrs.integers("padding");
  int64_t out = 0;
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t h = 0; h < y[1]; ++h)
      for (int64_t w = 0; w < y[2]; ++w)
        for (int64_t c = 0; c < y[3]; ++c)
          f(out++,
            ((n * x[1] + mirrored(h - p[0], x[1])) * x[2] + mirrored(w - p[2], x[2])) * x[3] + c);
}

template <class T>
void reflect_forward(const ForwardCall& c) {
  const T* x = c.in[0].data<T>();
  T* y = c.out[0].data<T>();
  each_reflected(c.in[0].shape(), c.out[0].shape(), c.attrs,
                 [&](int64_t o, int64_t i) { y[o] = x[i]; });
}

template <class T>
void reflect_backward(const BackwardCall& c) {
  std::vector<double> dx(static_cast<size_t>(c.din[0].numel()), 0.0);
  const T* dy = c.dout[0].data<T>();
  each_reflected(c.din[0].shape(), c.dout[0].shape(), c.attrs,
                 [&](int64_t o, int64_t i) { dx[static_cast<size_t>(i)] += dy[o]; });
  std::copy(dx.begin(), dx.end(), c.din[0].data<T>());
}

OpCase reflect_case(const Shape& x, std::vector<int64_t> padding, bool grad = true) {
  return {{values(x)}, {{"padding", std::move(padding)}}, grad};
}

const RegisterOp reflect_op({
    .name = "reflect_pad2d",
    .formula = "y = x, mirrored at the pixels of the border\n"
               "dx = sum of dy over all images of a pixel",
    .source = "elementary; as PyTorch's ReflectionPad2d",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .infer = infer_reflect,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) { reflect_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { reflect_backward<decltype(t)>(c); }>,
    .cases = {reflect_case({2, 3, 4, 3}, {1, 1, 1, 1}), reflect_case({1, 4, 5, 2}, {3, 0, 2, 4}),
              reflect_case({1, 1, 1, 3}, {0, 0, 0, 0}), reflect_case({0, 3, 3, 2}, {1, 2, 0, 1}),
              reflect_case({3, 9, 8, 33}, {4, 2, 3, 1}, false)},
    .images = true,
});

}  // namespace
}  // namespace limbeck::resize_bilinear_op
