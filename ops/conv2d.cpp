// conv2d: y[n,oy,ox,o] = b[o] + sum_{ky,kx,i} x[n, oy s - p + ky d, ox s - p + kx d, g C/G + i]
// w[o,ky,kx,i], g = the group of o. Backward: dx is the transposed sum, dw[o,ky,kx,i] =
// sum_{n,oy,ox} dy x, db = sum dy. Padding counts as zero.
#include "ops/conv2d.h"

#include "ops/checks.h"

namespace limbeck {
namespace {

struct WindowAttrs {
  std::pair<int64_t, int64_t> stride, padding, dilation;
  int64_t groups;
};

WindowAttrs window_attrs(const char* op, const Attrs& attrs) {
  return {size_pair(op, attrs, "stride", 1, 1), size_pair(op, attrs, "padding", 0, 0),
          size_pair(op, attrs, "dilation", 1, 1), size_attribute(op, attrs, "groups", 1, 1)};
}

/// From the first to the last tap of a window.
int64_t reach(int64_t dilation, int64_t kernel) { return size_product(dilation, kernel - 1); }

void check_ranks(const char* op, const Shape& x, const Shape& w) {
  LIMBECK_CHECK(x.rank() == 4, op, ": 'x' must be ", image_layout(), ", found ", x);
  LIMBECK_CHECK(w.rank() == 4, op, ": 'w' must have four dimensions, found ", w);
  LIMBECK_CHECK(w.numel() > 0, op, ": 'w' must not be empty, found ", w);
}

}  // namespace

Conv2dSizes conv2d_sizes(const Shape& x, const Shape& w, const Attrs& attrs) {
  check_ranks("conv2d", x, w);
  const WindowAttrs a = window_attrs("conv2d", attrs);
  Conv2dSizes s{x[0],
                x[1],
                x[2],
                x[3],
                w[0],
                w[1],
                w[2],
                0,
                0,
                a.groups,
                a.stride.first,
                a.stride.second,
                a.padding.first,
                a.padding.second,
                a.dilation.first,
                a.dilation.second};
  LIMBECK_CHECK(s.c % s.groups == 0 && s.o % s.groups == 0, "conv2d: groups = ", s.groups,
                " must divide the channels of 'x' ", x, " and 'w' ", w);
  LIMBECK_CHECK(w[3] == s.c / s.groups, "conv2d: 'w' must be ",
                Shape{w[0], w[1], w[2], s.c / s.groups}, " for 'x' ", x, " and groups = ", s.groups,
                ", found ", w);
  const int64_t room_h = s.h + 2 * s.pad_h - reach(s.dilation_h, s.kh) - 1,
                room_w = s.w + 2 * s.pad_w - reach(s.dilation_w, s.kw) - 1;
  LIMBECK_CHECK(room_h >= 0 && room_w >= 0, "conv2d: the window of 'w' ", w,
                " is larger than the padded 'x' ", x, " (", to_string(attrs), ")");
  s.oh = room_h / s.stride_h + 1;
  s.ow = room_w / s.stride_w + 1;
  return s;
}

Conv2dSizes conv_transpose2d_sizes(const Shape& x, const Shape& w, const Attrs& attrs) {
  const char* op = "conv_transpose2d";
  check_ranks(op, x, w);
  const WindowAttrs a = window_attrs(op, attrs);
  const auto extra = attrs.pair("output_padding", 0);
  LIMBECK_CHECK(w[0] == x[3], op, ": 'w' must be ", Shape{x[3], w[1], w[2], w[3]}, " for 'x' ", x,
                ", found ", w);
  LIMBECK_CHECK(x[3] % a.groups == 0, op, ": groups = ", a.groups,
                " must divide the channels of 'x' ", x);
  LIMBECK_CHECK(extra.first >= 0 && extra.first < std::max(a.stride.first, a.dilation.first) &&
                    extra.second >= 0 &&
                    extra.second < std::max(a.stride.second, a.dilation.second),
                op, ": attribute 'output_padding' must be smaller than stride or dilation, found ",
                extra.first, " x ", extra.second);
  Conv2dSizes s{x[0],
                0,
                0,
                size_product(w[3], a.groups),
                w[0],
                w[1],
                w[2],
                x[1],
                x[2],
                a.groups,
                a.stride.first,
                a.stride.second,
                a.padding.first,
                a.padding.second,
                a.dilation.first,
                a.dilation.second};
  LIMBECK_CHECK(s.oh > 0 && s.ow > 0, op, ": 'x' must have at least one pixel, found ", x);
  s.h = size_sum(size_product(s.oh - 1, s.stride_h) - 2 * s.pad_h,
                 size_sum(reach(s.dilation_h, s.kh), extra.first + 1));
  s.w = size_sum(size_product(s.ow - 1, s.stride_w) - 2 * s.pad_w,
                 size_sum(reach(s.dilation_w, s.kw), extra.second + 1));
  LIMBECK_CHECK(s.h > 0 && s.w > 0, op, ": the result would be ", s.h, " x ", s.w, " for 'x' ", x,
                " (", to_string(attrs), ")");
  return s;
}

namespace {

std::vector<TensorSpec> infer(const Tensors& in, const Attrs& attrs) {
  check_floating("conv2d", "x", in[0]);
  const Conv2dSizes s = conv2d_sizes(in[0].shape(), in[1].shape(), attrs);
  check_parameter("conv2d", "w", in[1], in[0], in[1].shape());
  check_parameter("conv2d", "b", in[2], in[0], {s.o}, true);
  return {{{s.n, s.oh, s.ow, s.o}, in[0].dtype()}};
}

template <class T>
void forward(const ForwardCall& c) {
  const Conv2dSizes s = conv2d_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  const T* bias = c.in.size() > 2 && c.in[2] ? c.in[2].data<T>() : nullptr;
  conv2d_forward_reference(s, c.in[0].data<T>(), c.in[1].data<T>(), bias, c.out[0].data<T>());
}

template <class T>
void backward(const BackwardCall& c) {
  const Conv2dSizes s = conv2d_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  const T* dy = c.dout[0].data<T>();
  if (c.din[0])
    conv2d_backward_data_reference<T>(s, dy, c.in[1].data<T>(), nullptr, c.din[0].data<T>());
  if (c.din[1]) conv2d_backward_weight_reference(s, c.in[0].data<T>(), dy, c.din[1].data<T>());
  if (c.din.size() > 2 && c.din[2])
    column_sums_reference(s.n * s.oh * s.ow, s.o, dy, c.din[2].data<T>());
}

OpCase make_case(Shape x, Shape w, Attrs attrs, bool bias = false, bool grad = true) {
  const int64_t out = w[0];
  return {{CaseInput{x}, CaseInput{w}, CaseInput{.shape = {out}, .given = bias}},
          std::move(attrs),
          grad};
}

OpCase long_case(Shape x, Shape w, int64_t groups = 1) {
  return {.inputs = {{x, 0.1, 0.1}, {w}, {{w[0]}}},
          .attrs = {{"groups", groups}},
          .grad = false,
          .cotangent = 0.1};
}

const std::vector<int64_t> k21{2, 1}, k12{1, 2}, k31{3, 1}, k10{1, 0};

const RegisterOp conv2d_op({
    .name = "conv2d",
    .formula =
        "y[n,oy,ox,o] = b[o] + sum_{ky,kx,i} x[n,oy s-p+ky d,ox s-p+kx d,i] w[o,ky,kx,i]\n"
        "dx = transposed convolution of dy with w; dw[o,ky,kx,i] = sum_{n,oy,ox} dy x; db = sum dy",
    .source = "LeCun et al., Backpropagation applied to handwritten zip code recognition, 1989; "
              "groups: Krizhevsky et al. 2012",
    .inputs = {{"x"},
               {.name = "w", .parameter = true},
               {.name = "b", .optional = true, .parameter = true}},
    .outputs = {{"y"}},
    .saved_inputs = {0, 1},
    .infer = infer,
    .forward = floating<ForwardCall, [](auto t, const ForwardCall& c) { forward<decltype(t)>(c); }>,
    .backward =
        floating<BackwardCall, [](auto t, const BackwardCall& c) { backward<decltype(t)>(c); }>,
    .cases =
        {
            make_case({2, 5, 6, 3}, {4, 3, 3, 3}, {{"padding", int64_t{1}}}, true),
            make_case({1, 1, 1, 1}, {1, 1, 1, 1}, {}),  // one pixel, one weight
            make_case({1, 1, 1, 3}, {5, 3, 3, 3}, {{"padding", int64_t{1}}},
                      true),  // window larger than the input
            make_case({1, 2, 3, 2}, {3, 5, 5, 2},
                      {{"padding", int64_t{2}}, {"stride", int64_t{2}}}),
            make_case({2, 7, 5, 3}, {7, 3, 3, 3}, {{"padding", int64_t{1}}, {"stride", int64_t{2}}},
                      true),
            make_case({1, 8, 6, 2}, {3, 3, 3, 2},
                      {{"stride", int64_t{3}}, {"padding", int64_t{2}}}),
            make_case({1, 9, 8, 2}, {2, 3, 3, 2},
                      {{"dilation", int64_t{2}}, {"padding", int64_t{2}}}),
            make_case(
                {2, 9, 7, 4}, {6, 3, 3, 2},
                {{"groups", int64_t{2}}, {"stride", k21}, {"padding", k12}, {"dilation", k12}},
                true),
            make_case(
                {1, 8, 9, 4}, {6, 2, 3, 2},
                {{"groups", int64_t{2}}, {"stride", k12}, {"padding", k31}, {"dilation", k31}}),
            make_case({1, 4, 7, 3}, {2, 1, 3, 3},
                      {{"padding", std::vector<int64_t>{0, 1}}}),  // kh != kw
            make_case({2, 3, 4, 5}, {6, 1, 1, 5}, {}, true),       // 1x1
            make_case({1, 5, 5, 4}, {3, 1, 1, 4},
                      {{"stride", int64_t{2}}}),  // 1x1 that skips input pixels
            make_case({1, 3, 3, 2}, {2, 1, 1, 2}, {{"padding", int64_t{1}}}),
            make_case({2, 5, 4, 5}, {5, 3, 3, 1}, {{"groups", int64_t{5}}, {"padding", int64_t{1}}},
                      true),  // depthwise
            make_case({1, 6, 7, 3}, {3, 3, 3, 1},
                      {{"groups", int64_t{3}}, {"padding", int64_t{1}}, {"stride", int64_t{2}}}),
            make_case({1, 5, 5, 3}, {6, 3, 3, 1},
                      {{"groups", int64_t{3}},
                       {"padding", int64_t{1}}}),       // two outputs per channel
            make_case({2, 4, 4, 3}, {2, 4, 4, 3}, {}),  // window = input: one output pixel
            make_case({0, 4, 4, 3}, {2, 3, 3, 3}, {}, true, false),  // empty batch
            // input pixels that no window position meets: a phase of the stride without a tap
            make_case({1, 8, 13, 1}, {1, 1, 1, 1},
                      {{"stride", int64_t{2}}, {"padding", int64_t{1}}}),
            make_case({1, 8, 13, 2}, {3, 1, 3, 2},
                      {{"stride", int64_t{2}}, {"padding", int64_t{3}}}, true),
            make_case({1, 8, 13, 1}, {2, 2, 2, 1},
                      {{"stride", int64_t{3}}, {"padding", int64_t{2}}}),
            make_case({1, 8, 13, 3}, {3, 1, 2, 1},
                      {{"groups", int64_t{3}}, {"stride", int64_t{3}}, {"padding", int64_t{1}}}),
            make_case({2, 8, 13, 20}, {24, 1, 1, 20},
                      {{"stride", int64_t{3}}, {"padding", int64_t{2}}}, false, false),
            // beyond one block of every kernel: odd channels above a vector, stride, groups,
            // dilation, several images
            make_case({3, 9, 11, 17}, {33, 3, 3, 17}, {{"padding", int64_t{1}}}, true, false),
            make_case({2, 16, 16, 16}, {16, 3, 3, 16}, {{"padding", int64_t{1}}}, false, false),
            make_case({5, 8, 8, 32}, {64, 3, 3, 32},
                      {{"padding", int64_t{1}}, {"stride", int64_t{2}}}, false, false),
            make_case({9, 4, 4, 70}, {50, 3, 3, 70}, {{"padding", int64_t{1}}}, true, false),
            make_case(
                {2, 13, 10, 40}, {24, 3, 3, 20},
                {{"groups", int64_t{2}}, {"padding", k21}, {"stride", k21}, {"dilation", k12}},
                true, false),
            make_case({2, 8, 10, 130}, {40, 1, 1, 130}, {}, true, false),
            make_case({2, 9, 9, 20}, {30, 1, 1, 20}, {{"stride", int64_t{2}}}, false, false),
            make_case({2, 14, 15, 3}, {20, 7, 7, 3},
                      {{"stride", int64_t{2}}, {"padding", int64_t{3}}}, true, false),
            make_case({2, 9, 10, 40}, {3, 3, 3, 40}, {{"padding", int64_t{1}}}, true,
                      false),  // to an image
            make_case({2, 12, 9, 21}, {4, 3, 2, 21}, {{"padding", k10}, {"dilation", k12}}, true,
                      false),
            make_case({3, 11, 9, 37}, {37, 3, 3, 1},
                      {{"groups", int64_t{37}}, {"padding", int64_t{1}}}, true, false),
            make_case({2, 11, 9, 50}, {50, 5, 5, 1},
                      {{"groups", int64_t{50}}, {"padding", int64_t{2}}, {"stride", int64_t{2}}},
                      false, false),
            make_case(
                {2, 9, 9, 18}, {18, 3, 3, 1},
                {{"groups", int64_t{18}}, {"padding", k12}, {"dilation", k12}, {"stride", k21}},
                false, false),
            make_case({3, 7, 5, 120}, {30, 1, 1, 40}, {{"groups", int64_t{3}}}, false,
                      false),  // ShuffleNet V1: fewer outputs than inputs
            make_case({3, 5, 7, 36}, {108, 1, 1, 12}, {{"groups", int64_t{3}}}, true, false),
            make_case({2, 9, 9, 100}, {100, 1, 1, 100}, {}, false, false),
            // Inception's factored windows
            make_case({2, 9, 7, 33}, {40, 1, 7, 33}, {{"padding", std::vector<int64_t>{0, 3}}},
                      false, false),
            make_case({2, 7, 9, 40}, {33, 7, 1, 40}, {{"padding", std::vector<int64_t>{3, 0}}},
                      false, false),
            // 3x3 with stride 1 in tiles of 4x4 outputs: parts of tiles, every padding, odd
            // channels
            make_case({3, 8, 8, 33}, {48, 3, 3, 33}, {{"padding", int64_t{1}}}, true, false),
            make_case({2, 9, 10, 64}, {33, 3, 3, 64}, {}, true, false),
            make_case({2, 6, 7, 48}, {100, 3, 3, 48}, {{"padding", int64_t{2}}}, false, false),
            make_case({5, 4, 4, 128}, {96, 3, 3, 128}, {{"padding", int64_t{1}}}, false, false),
            // long sums in the weight gradient: 1x1, a window, depthwise
            long_case({1, 1, 40000, 2}, {3, 1, 3, 2}),  // one row
            long_case({1, 160, 160, 1}, {1, 1, 1, 1}),
            long_case({1, 150, 150, 1}, {1, 3, 3, 1}),
            long_case({1, 150, 150, 2}, {2, 3, 3, 1}, 2),
        },
    .flops =
        [](const Tensors& in, const Attrs& attrs) {
          return conv2d_sizes(in[0].shape(), in[1].shape(), attrs).flops();
        },
    .images = true,
    .bench_cases =
        {make_case({64, 32, 32, 16}, {16, 3, 3, 16}, {{"padding", int64_t{1}}}, false, false),
         make_case({64, 16, 16, 32}, {32, 3, 3, 32}, {{"padding", int64_t{1}}}, false, false),
         make_case({64, 8, 8, 64}, {64, 3, 3, 64}, {{"padding", int64_t{1}}}, false, false),
         make_case({64, 8, 8, 256}, {256, 3, 3, 256}, {{"padding", int64_t{1}}}, false, false)},
    // resnet8x4, wide residual networks, VGG; BigGAN's generator; the 1x1 of a bottleneck
    .device_bench_cases =
        {make_case({128, 16, 16, 128}, {128, 3, 3, 128}, {{"padding", int64_t{1}}}, false, false),
         make_case({128, 8, 8, 256}, {256, 3, 3, 256}, {{"padding", int64_t{1}}}, false, false),
         make_case({128, 4, 4, 512}, {512, 3, 3, 512}, {{"padding", int64_t{1}}}, false, false),
         make_case({256, 16, 16, 128}, {128, 3, 3, 128}, {{"padding", int64_t{1}}}, false, false),
         make_case({256, 8, 8, 256}, {256, 3, 3, 256}, {{"padding", int64_t{1}}}, false, false),
         make_case({256, 4, 4, 512}, {512, 3, 3, 512}, {{"padding", int64_t{1}}}, false, false),
         make_case({128, 32, 32, 256}, {256, 3, 3, 256}, {{"padding", int64_t{1}}}, false, false),
         make_case({128, 16, 16, 128}, {256, 3, 3, 128},
                   {{"padding", int64_t{1}}, {"stride", int64_t{2}}}, false, false),
         make_case({128, 8, 8, 512}, {128, 1, 1, 512}, {}, false, false)},
});

}  // namespace
}  // namespace limbeck
