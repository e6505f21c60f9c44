// 2-D pooling (max, average, adaptive average) and nearest upsampling: contract and reference.
//   max_pool2d  y = max over the window; index = h * W + w of the first maximum;  dx[index] += dy
//   avg_pool2d  y = sum over the window / (window size, padding counted or not);  dx += dy / size
//   adaptive_avg_pool2d  windows floor(o S / O) .. ceil((o + 1) S / O) per axis, plain mean
//   upsample_nearest  y[h, w] = x[h / scale, w / scale];  dx = sum of dy over the block
// x [N, H, W, C], y [N, H', W', C], index i32 like y. Source: elementary; sizes, ceil_mode and
// divisors as in PyTorch.
#include "ops/pooling.h"

#include <limits>

#include "ops/checks.h"

namespace limbeck {
namespace {

int64_t pooled_size(int64_t size, int64_t kernel, int64_t stride, int64_t padding, bool ceil_mode) {
  int64_t out = (size + 2 * padding - kernel + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  // A window that would start in the right padding is dropped.
  if (ceil_mode && (out - 1) * stride >= size + padding) --out;
  return out;
}

}  // namespace

PoolGeometry::PoolGeometry(const char* op, const Shape& x, const Attrs& attrs)
    : n(x[0]),
      h(x[1]),
      w(x[2]),
      c(x[3]),
      kernel(size_pair(op, attrs, "kernel", 2, 1)),
      stride(attrs.find("stride") ? size_pair(op, attrs, "stride", 1, 1) : kernel),
      padding(size_pair(op, attrs, "padding", 0, 0)),
      count_include_pad(attrs.flag("count_include_pad", true)) {
  LIMBECK_CHECK(2 * padding.first <= kernel.first && 2 * padding.second <= kernel.second, op,
                ": attribute 'padding' must be at most half the kernel, found ", to_string(attrs));
  LIMBECK_CHECK(h > 0 && w > 0, op, ": 'x' must be images with pixels, found ", x);
  LIMBECK_CHECK(h + 2 * padding.first >= kernel.first && w + 2 * padding.second >= kernel.second,
                op, ": attribute 'kernel' exceeds the padded 'x' ", x, " with ", to_string(attrs));
  const bool ceil_mode = attrs.flag("ceil_mode");
  out_h = pooled_size(h, kernel.first, stride.first, padding.first, ceil_mode);
  out_w = pooled_size(w, kernel.second, stride.second, padding.second, ceil_mode);
}

namespace {

// Calls f(output element, element of x at the window's image origin and channel, row window, column
// window).
template <class F>
void each_window(const PoolGeometry& g, F&& f) {
  int64_t out = 0;
  for (int64_t n = 0; n < g.n; ++n)
    for (int64_t oh = 0; oh < g.out_h; ++oh)
      for (int64_t ow = 0; ow < g.out_w; ++ow)
        for (int64_t c = 0; c < g.c; ++c)
          f(out++, n * g.h * g.w * g.c + c, g.rows(oh), g.columns(ow));
}

template <class T>
void max_forward(const ForwardCall& call) {
  const PoolGeometry g("max_pool2d", call.in[0].shape(), call.attrs);
  const T* x = call.in[0].data<T>();
  T* y = call.out[0].data<T>();
  int32_t* index = call.out[1].data<int32_t>();
  each_window(g, [&](int64_t o, int64_t base, auto rows, auto columns) {
    T best = -std::numeric_limits<T>::infinity();
    int64_t where = rows.begin * g.w + columns.begin;
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const T value = x[base + (h * g.w + w) * g.c];
        if (value > best || value != value) best = value, where = h * g.w + w;
      }
    y[o] = best;
    index[o] = static_cast<int32_t>(where);
  });
}

template <class T>
void max_backward(const BackwardCall& call) {
  if (!call.din[0].defined()) return;
  const PoolGeometry g("max_pool2d", call.din[0].shape(), call.attrs);
  const int32_t* index = call.out[1].data<int32_t>();
  const T* dy = call.dout[0].data<T>();
  std::vector<double> dx(call.din[0].numel(), 0.0);
  each_window(g, [&](int64_t o, int64_t base, auto, auto) { dx[base + index[o] * g.c] += dy[o]; });
  std::copy(dx.begin(), dx.end(), call.din[0].data<T>());
}

std::vector<TensorSpec> infer_max(const Tensors& in, const Attrs& attrs) {
  check_image("max_pool2d", "x", in[0]);
  const Shape y = PoolGeometry("max_pool2d", in[0].shape(), attrs).output();
  return {{y, in[0].dtype()}, {y, DType::i32}};
}

template <class T>
void avg_forward(const ForwardCall& call) {
  const PoolGeometry g("avg_pool2d", call.in[0].shape(), call.attrs);
  const T* x = call.in[0].data<T>();
  T* y = call.out[0].data<T>();
  each_window(g, [&](int64_t o, int64_t base, auto rows, auto columns) {
    double sum = 0;
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w) sum += x[base + (h * g.w + w) * g.c];
    y[o] = static_cast<T>(sum / double(rows.counted * columns.counted));
  });
}

template <class T>
void avg_backward(const BackwardCall& call) {
  if (!call.din[0].defined()) return;
  const PoolGeometry g("avg_pool2d", call.din[0].shape(), call.attrs);
  const T* dy = call.dout[0].data<T>();
  std::vector<double> dx(call.din[0].numel(), 0.0);
  each_window(g, [&](int64_t o, int64_t base, auto rows, auto columns) {
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w)
        dx[base + (h * g.w + w) * g.c] += dy[o] / double(rows.counted * columns.counted);
  });
  std::copy(dx.begin(), dx.end(), call.din[0].data<T>());
}

std::vector<TensorSpec> infer_avg(const Tensors& in, const Attrs& attrs) {
  check_image("avg_pool2d", "x", in[0]);
  return {{PoolGeometry("avg_pool2d", in[0].shape(), attrs).output(), in[0].dtype()}};
}

// Calls f(output element, input element, number of input elements under the output).
template <class F>
void each_adaptive(const Shape& x, const Attrs& attrs, F&& f) {
  const auto [out_h, out_w] = attrs.pair("output", 1);
  const int64_t channels = x[3];
  int64_t out = 0;
  for (int64_t n = 0; n < x[0]; ++n)
    for (int64_t oh = 0; oh < out_h; ++oh)
      for (int64_t ow = 0; ow < out_w; ++ow)
        for (int64_t c = 0; c < channels; ++c, ++out) {
          const auto [h0, h1] = adaptive_window(oh, x[1], out_h);
          const auto [w0, w1] = adaptive_window(ow, x[2], out_w);
          for (int64_t h = h0; h < h1; ++h)
            for (int64_t w = w0; w < w1; ++w)
              f(out, ((n * x[1] + h) * x[2] + w) * channels + c, double((h1 - h0) * (w1 - w0)));
        }
}

template <class T>
void adaptive_forward(const ForwardCall& call) {
  const T* x = call.in[0].data<T>();
  std::vector<double> y(call.out[0].numel(), 0.0);
  each_adaptive(call.in[0].shape(), call.attrs,
                [&](int64_t o, int64_t i, double n) { y[o] += x[i] / n; });
  std::copy(y.begin(), y.end(), call.out[0].data<T>());
}

template <class T>
void adaptive_backward(const BackwardCall& call) {
  if (!call.din[0].defined()) return;
  const T* dy = call.dout[0].data<T>();
  std::vector<double> dx(call.din[0].numel(), 0.0);
  each_adaptive(call.din[0].shape(), call.attrs,
                [&](int64_t o, int64_t i, double n) { dx[i] += dy[o] / n; });
  std::copy(dx.begin(), dx.end(), call.din[0].data<T>());
}

std::vector<TensorSpec> infer_adaptive(const Tensors& in, const Attrs& attrs) {
  check_image("adaptive_avg_pool2d", "x", in[0]);
  const auto [h, w] = size_pair("adaptive_avg_pool2d", attrs, "output", 1, 1);
  LIMBECK_CHECK(in[0].size(1) >= 1 && in[0].size(2) >= 1,
                "adaptive_avg_pool2d: 'x' has no pixels: ", describe(in[0]));
  return {{{in[0].size(0), h, w, in[0].size(3)}, in[0].dtype()}};
}

template <class F>
void each_upsampled(const Shape& x, int64_t scale, F&& f) {  // f(output element, input element)
  int64_t out = 0;
  for (int64_t n = 0; n < x[0]; ++n)
    for (int64_t h = 0; h < x[1] * scale; ++h)
      for (int64_t w = 0; w < x[2] * scale; ++w)
        for (int64_t c = 0; c < x[3]; ++c)
          f(out++, ((n * x[1] + h / scale) * x[2] + w / scale) * x[3] + c);
}

template <class T>
void upsample_forward(const ForwardCall& call) {
  const T* x = call.in[0].data<T>();
  T* y = call.out[0].data<T>();
  each_upsampled(call.in[0].shape(), call.attrs.integer("scale", 2),
                 [&](int64_t o, int64_t i) { y[o] = x[i]; });
}

template <class T>
void upsample_backward(const BackwardCall& call) {
  if (!call.din[0].defined()) return;
  const T* dy = call.dout[0].data<T>();
  std::vector<double> dx(call.din[0].numel(), 0.0);
  each_upsampled(call.din[0].shape(), call.attrs.integer("scale", 2),
                 [&](int64_t o, int64_t i) { dx[i] += dy[o]; });
  std::copy(dx.begin(), dx.end(), call.din[0].data<T>());
}

std::vector<TensorSpec> infer_upsample(const Tensors& in, const Attrs& attrs) {
  check_image("upsample_nearest", "x", in[0]);
  const int64_t scale = size_attribute("upsample_nearest", attrs, "scale", 2, 1);
  const Shape& x = in[0].shape();
  return {{{x[0], size_product(x[1], scale), size_product(x[2], scale), x[3]}, in[0].dtype()}};
}

using List = std::vector<int64_t>;

std::vector<OpCase> pool_cases(bool average) {
  std::vector<OpCase> list = {
      {{{{2, 4, 6, 3}}}, {}},
      {{{{1, 5, 7, 2}}}, {{"kernel", int64_t{2}}}},
      {{{{2, 5, 6, 3}}}, {{"kernel", int64_t{3}}, {"stride", int64_t{2}}, {"padding", int64_t{1}}}},
      {{{{1, 6, 5, 1}}}, {{"kernel", List{3, 2}}, {"stride", List{1, 2}}, {"padding", List{1, 0}}}},
      {{{{1, 6, 7, 2}}}, {{"kernel", int64_t{3}}, {"stride", int64_t{2}}, {"ceil_mode", true}}},
      {{{{1, 5, 6, 2}}},
       {{"kernel", int64_t{2}},
        {"stride", int64_t{3}},
        {"padding", int64_t{1}},
        {"ceil_mode", true}}},
      {{{{1, 4, 4, 2}}}, {{"kernel", int64_t{4}}}},
      {{{{0, 4, 4, 3}}}, {}},
      {{{{3, 4, 4, 0}}}, {}},
      {{{{5, 16, 18, 67}}}, {}, false},
      {{{{3, 15, 17, 16}}},
       {{"kernel", int64_t{3}}, {"stride", int64_t{2}}, {"padding", int64_t{1}}},
       false},
      {{{{2, 9, 8, 130}}},
       {{"kernel", int64_t{3}}, {"stride", int64_t{1}}, {"padding", int64_t{1}}},
       false},
  };
  if (average) {
    for (size_t i = 2; i < 6; ++i) {
      list.push_back(list[i]);
      list.back().attrs.set("count_include_pad", false);
    }
    list.push_back({{{{1, 300, 400, 2}, 0.1, 0.1}}, {{"kernel", List{300, 200}}}, false});
  }
  return list;
}

const RegisterOp max_pool2d_op({
    .name = "max_pool2d",
    .formula = "y = max over the window, index = h W + w of it\ndx[index] += dy",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}, {"index", false}},
    .saved_outputs = {1},
    .infer = infer_max,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { max_forward<decltype(t)>(c); }>,
    .backward =
        floating<BackwardCall, [](auto t, const BackwardCall& c) { max_backward<decltype(t)>(c); }>,
    .cases = pool_cases(false),
    .distinct_values = true,
    .images = true,
});
const RegisterOp avg_pool2d_op({
    .name = "avg_pool2d",
    .formula = "y = sum over the window / size\ndx += dy / size",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .infer = infer_avg,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { avg_forward<decltype(t)>(c); }>,
    .backward =
        floating<BackwardCall, [](auto t, const BackwardCall& c) { avg_backward<decltype(t)>(c); }>,
    .cases = pool_cases(true),
    .images = true,
    .bench_cases = {{{{{64, 32, 32, 64}}}, {}, false}},
});
const RegisterOp adaptive_avg_pool2d_op({
    .name = "adaptive_avg_pool2d",
    .formula = "y[o] = mean of x over floor(o S / O) .. ceil((o + 1) S / O)\ndx += dy / size",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .infer = infer_adaptive,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) { adaptive_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { adaptive_backward<decltype(t)>(c); }>,
    .cases = {{{{{2, 4, 6, 3}}}, {{"output", int64_t{1}}}},
              {{{{1, 5, 7, 2}}}, {{"output", List{3, 4}}}},
              {{{{1, 2, 3, 2}}}, {{"output", List{4, 3}}}},
              {{{{0, 4, 4, 3}}}, {{"output", int64_t{2}}}},
              {{{{9, 8, 8, 67}}}, {{"output", int64_t{1}}}, false},
              {{{{1, 256, 256, 2}, 0.1, 0.1}}, {{"output", int64_t{1}}}, false},
              {{{{1, 2, 1 << 14, 5}, 0.1, 0.1}}, {{"output", int64_t{1}}}, false},
              {{{{1, 70000, 1, 1}}}, {{"output", List{40000, 1}}}, false},
              {{{{2, 7, 9, 16}}}, {{"output", List{2, 4}}}, false}},
    .images = true,
    .bench_cases = {{{{{64, 8, 8, 64}}}, {{"output", int64_t{1}}}, false}},
});
const RegisterOp upsample_nearest_op({
    .name = "upsample_nearest",
    .formula = "y[h, w] = x[h / scale, w / scale]\ndx = sum of dy over each scale x scale block",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .infer = infer_upsample,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) { upsample_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { upsample_backward<decltype(t)>(c); }>,
    .cases = {{{{{2, 2, 3, 3}}}},
              {{{{1, 1, 2, 1}}}, {{"scale", int64_t{3}}}},
              {{{{1, 2, 2, 2}}}, {{"scale", int64_t{1}}}},
              {{{{0, 2, 2, 3}}}},
              {{{{3, 7, 5, 67}}}, {}, false},
              {{{{5, 8, 8, 16}}}, {{"scale", int64_t{4}}}, false},
              {.inputs = {{{1, 1, 1, 3}}},
               .attrs = {{"scale", int64_t{400}}},
               .grad = false,
               .cotangent = 0.1}},
    .images = true,
    .bench_cases = {{{{{64, 16, 16, 64}}}, {}, false}},
});

}  // namespace
}  // namespace limbeck
