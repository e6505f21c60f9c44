// conv_transpose2d: y[n, iy s - p + ky d, ix s - p + kx d, o] += x[n,iy,ix,i] w[i,ky,kx,o], plus
// b[o]: the backward-data of a convolution. Backward: dx = conv2d(dy, w), dw[i,ky,kx,o] = sum dy x,
// db = sum dy. OH = (H-1) s - 2p + d (kh-1) + output_padding + 1.
#include "ops/checks.h"
#include "ops/conv2d.h"

namespace limbeck::conv_transpose2d_op {
namespace {

std::vector<TensorSpec> infer(const Tensors& in, const Attrs& attrs) {
  check_floating("conv_transpose2d", "x", in[0]);
  const Conv2dSizes s = conv_transpose2d_sizes(in[0].shape(), in[1].shape(), attrs);
  check_parameter("conv_transpose2d", "w", in[1], in[0], in[1].shape());
  check_parameter("conv_transpose2d", "b", in[2], in[0], {s.c}, true);
  return {{{s.n, s.h, s.w, s.c}, in[0].dtype()}};
}

template <class T>
void forward(const ForwardCall& c) {
  const Conv2dSizes s = conv_transpose2d_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  const T* bias = c.in.size() > 2 && c.in[2] ? c.in[2].data<T>() : nullptr;
  conv2d_backward_data_reference(s, c.in[0].data<T>(), c.in[1].data<T>(), bias, c.out[0].data<T>());
}

template <class T>
void backward(const BackwardCall& c) {
  const Conv2dSizes s = conv_transpose2d_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  const T* dy = c.dout[0].data<T>();
  if (c.din[0]) conv2d_forward_reference<T>(s, dy, c.in[1].data<T>(), nullptr, c.din[0].data<T>());
  if (c.din[1]) conv2d_backward_weight_reference(s, dy, c.in[0].data<T>(), c.din[1].data<T>());
  if (c.din.size() > 2 && c.din[2])
    column_sums_reference(s.n * s.h * s.w, s.c, dy, c.din[2].data<T>());
}

OpCase make_case(Shape x, Shape w, Attrs attrs, bool bias = false, bool grad = true) {
  const int64_t out = w[3] * attrs.integer("groups", 1);
  return {{CaseInput{x}, CaseInput{w}, CaseInput{.shape = {out}, .given = bias}},
          std::move(attrs),
          grad};
}

const std::vector<int64_t> k21{2, 1}, k12{1, 2}, k10{1, 0};

const RegisterOp conv_transpose2d_op({
    .name = "conv_transpose2d",
    .formula = "y[n,iy s-p+ky d,ix s-p+kx d,o] += x[n,iy,ix,i] w[i,ky,kx,o]; y += b\n"
               "dx = conv2d(dy, w); dw[i,ky,kx,o] = sum_{n,iy,ix} x dy; db = sum dy",
    .source = "Zeiler et al., Deconvolutional networks, CVPR 2010",
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
            make_case({2, 3, 4, 3}, {3, 3, 3, 2}, {}, true),
            make_case({1, 1, 1, 2}, {2, 1, 1, 1}, {}),
            make_case({1, 1, 1, 3}, {3, 4, 4, 2}, {}, true),
            make_case({2, 3, 2, 3}, {3, 4, 4, 2}, {{"stride", int64_t{2}}, {"padding", int64_t{1}}},
                      true),
            make_case(
                {1, 3, 4, 2}, {2, 3, 3, 3},
                {{"stride", int64_t{2}}, {"padding", int64_t{1}}, {"output_padding", int64_t{1}}}),
            make_case({1, 3, 3, 2}, {2, 2, 2, 2},
                      {{"stride", int64_t{3}}}),  // gaps that only the bias reaches
            make_case(
                {1, 4, 3, 4}, {4, 3, 2, 3},
                {{"groups", int64_t{2}}, {"stride", k21}, {"padding", k10}, {"dilation", k12}},
                true),
            make_case({1, 4, 5, 3}, {3, 3, 3, 1},
                      {{"groups", int64_t{3}}, {"stride", int64_t{2}}, {"padding", int64_t{1}}}),
            make_case({0, 2, 2, 3}, {3, 3, 3, 2}, {}, true, false),
            make_case({1, 5, 8, 1}, {1, 1, 1, 1}, {{"stride", int64_t{2}}, {"padding", int64_t{1}}},
                      true),
            make_case({1, 7, 9, 2}, {2, 1, 3, 2},
                      {{"stride", int64_t{2}}, {"padding", int64_t{3}}}),
            make_case({1, 5, 6, 2}, {2, 2, 2, 1}, {{"stride", int64_t{3}}, {"padding", int64_t{2}}},
                      true),
            make_case({2, 5, 6, 20}, {20, 1, 1, 24},
                      {{"stride", int64_t{3}}, {"padding", int64_t{2}}}, true, false),
            make_case({3, 8, 7, 33}, {33, 4, 4, 17},
                      {{"stride", int64_t{2}}, {"padding", int64_t{1}}}, true, false),
            make_case({2, 6, 9, 20}, {20, 3, 3, 34}, {{"padding", int64_t{1}}}, true, false),
        },
    .flops =
        [](const Tensors& in, const Attrs& attrs) {
          return conv_transpose2d_sizes(in[0].shape(), in[1].shape(), attrs).flops();
        },
    .images = true,
    .device_bench_cases = {make_case({128, 8, 8, 256}, {256, 4, 4, 128},
                                     {{"padding", int64_t{1}}, {"stride", int64_t{2}}}, false,
                                     false),
                           make_case({256, 4, 4, 512}, {512, 4, 4, 256},
                                     {{"padding", int64_t{1}}, {"stride", int64_t{2}}}, false,
                                     false)},
});

}  // namespace
}  // namespace limbeck::conv_transpose2d_op
