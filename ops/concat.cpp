// concat, slice and pad2d: copies of whole blocks. Contract and reference.
//   concat:  y = x_0, x_1, ... one after the other along `axis`;    dx_i = x_i's part of dy
//   slice:   y = x[.., begin:end, ..] along `axis`;                 dx = dy there, 0 elsewhere
//   pad2d:   y = x inside, `value` in the border;                   dx = the inner part of dy
#include "ops/slice.h"

#include <algorithm>

#include "ops/cases.h"
#include "ops/checks.h"
#include "ops/op.h"

namespace limbeck {
namespace {

// --- concat --------------------------------------------------------------------------------------
std::vector<TensorSpec> infer_concat(const Tensors& in, const Attrs& attrs) {
  LIMBECK_CHECK(in[0].rank() >= 1, "concat: scalars cannot be joined");
  const int axis = axis_attribute("concat", attrs, in[0].shape());
  Shape shape = in[0].shape();
  int64_t total = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    LIMBECK_CHECK(in[i].dtype() == in[0].dtype() && in[i].rank() == in[0].rank(), "concat: input ",
                  i, " must be of the type and rank of ", describe(in[0]), ", found ",
                  describe(in[i]));
    for (int d = 0; d < shape.rank(); ++d)
      LIMBECK_CHECK(d == axis || in[i].size(d) == shape[d], "concat along axis ", axis, ": input ",
                    i, " must fit ", describe(in[0]), ", found ", describe(in[i]));
    total = size_sum(total, in[i].size(axis));
  }
  shape.set(axis, total);
  // The offsets let backward find an input's part without keeping the inputs alive.
  return {{shape, in[0].dtype()}, {Shape{static_cast<int64_t>(in.size()) + 1}, DType::i64}};
}

void concat_forward(const ForwardCall& c) {
  const Shape& shape = c.out[0].shape();
  const int axis = shape.normalise(c.attrs.integer("axis", 0));
  const int64_t outer = shape.numel(0, axis), inner = shape.numel(axis + 1, shape.rank()),
                row = shape[axis] * inner;
  int64_t* offsets = c.out[1].data<int64_t>();
  dispatch_all(c.out[0].dtype(), "concat", [&](auto t) {
    using T = decltype(t);
    T* y = c.out[0].data<T>();
    offsets[0] = 0;
    for (size_t i = 0; i < c.in.size(); ++i) {
      const int64_t block = c.in[i].size(axis) * inner;
      const T* x = c.in[i].data<T>();
      for (int64_t o = 0; o < outer; ++o)
        std::copy_n(x + o * block, block, y + o * row + offsets[i] * inner);
      offsets[i + 1] = offsets[i] + c.in[i].size(axis);
    }
  });
}

template <class T>
void concat_backward(const BackwardCall& c) {
  const Shape& shape = c.dout[0].shape();
  const int axis = shape.normalise(c.attrs.integer("axis", 0));
  const int64_t outer = shape.numel(0, axis), inner = shape.numel(axis + 1, shape.rank()),
                row = shape[axis] * inner;
  const int64_t* offsets = c.out[1].data<int64_t>();
  const T* dy = c.dout[0].data<T>();
  for (size_t i = 0; i < c.din.size(); ++i) {
    if (!c.din[i].defined()) continue;
    const int64_t block = c.din[i].size(axis) * inner;
    T* dx = c.din[i].data<T>();
    for (int64_t o = 0; o < outer; ++o)
      std::copy_n(dy + o * row + offsets[i] * inner, block, dx + o * block);
  }
}

const RegisterOp concat_op({
    .name = "concat",
    .formula =
        "y = x_0, x_1, ... one after the other along axis\ndx_i = the part of dy that x_i became",
    .source = "elementary",
    .inputs = {{"xs"}},
    .variadic = true,
    .outputs = {{"y"}, {"offsets", false}},
    .saved_outputs = {1},
    .infer = infer_concat,
    .forward = concat_forward,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { concat_backward<decltype(t)>(c); }>,
    .cases = {{{values({2, 3}), values({4, 3})}, Attrs{{"axis", int64_t{0}}}},
              {{values({2, 2, 2, 3}), values({2, 2, 2, 1}), values({2, 2, 2, 5})},
               Attrs{{"axis", int64_t{-1}}}},
              {{values({2, 1, 3}), values({2, 4, 3})}, Attrs{{"axis", int64_t{1}}}},
              {{values({3})}, Attrs{{"axis", int64_t{0}}}},
              {{values({0, 3}), values({2, 3}), values({0, 3})}, Attrs{{"axis", int64_t{0}}}},
              big_case({values({5, 9, 11, 33}), values({5, 9, 11, 12})},
                       Attrs{{"axis", int64_t{3}}}),
              big_case({values({3, 5, 7, 32}), values({3, 5, 7, 8}), values({3, 5, 7, 24})},
                       Attrs{{"axis", int64_t{3}}})},
});

// --- slice ---------------------------------------------------------------------------------------
}  // namespace

SliceRange slice_range(const Shape& shape, const Attrs& attrs) {
  const int axis = axis_attribute("slice", attrs, shape);
  int64_t begin = attrs.integer("begin", 0), end = attrs.integer("end", shape[axis]);
  if (begin < 0) begin += shape[axis];
  if (end < 0) end += shape[axis];
  LIMBECK_CHECK(begin >= 0 && begin <= end && end <= shape[axis],
                "slice: expected 0 <= begin <= end <= ", shape[axis], " along axis ", axis, " of ",
                shape, ", found ", to_string(attrs));
  return {axis, begin, end};
}

namespace {

std::vector<TensorSpec> infer_slice(const Tensors& in, const Attrs& attrs) {
  LIMBECK_CHECK(in[0].rank() >= 1, "slice: a scalar has no axis");
  const SliceRange r = slice_range(in[0].shape(), attrs);
  Shape shape = in[0].shape();
  shape.set(r.axis, r.end - r.begin);
  return {{shape, in[0].dtype()}};
}

void slice_forward(const ForwardCall& c) {
  const Shape& shape = c.in[0].shape();
  const SliceRange r = slice_range(shape, c.attrs);
  const int64_t outer = shape.numel(0, r.axis), inner = shape.numel(r.axis + 1, shape.rank()),
                block = (r.end - r.begin) * inner;
  dispatch_all(c.in[0].dtype(), "slice", [&](auto t) {
    using T = decltype(t);
    const T* x = c.in[0].data<T>();
    T* y = c.out[0].data<T>();
    for (int64_t o = 0; o < outer; ++o)
      std::copy_n(x + (o * shape[r.axis] + r.begin) * inner, block, y + o * block);
  });
}

template <class T>
void slice_backward(const BackwardCall& c) {
  const Shape& shape = c.din[0].shape();
  const SliceRange r = slice_range(shape, c.attrs);
  const int64_t outer = shape.numel(0, r.axis), inner = shape.numel(r.axis + 1, shape.rank()),
                block = (r.end - r.begin) * inner;
  const T* dy = c.dout[0].data<T>();
  T* dx = c.din[0].data<T>();
  for (int64_t o = 0; o < outer; ++o) {
    T* row = dx + o * shape[r.axis] * inner;
    std::fill_n(row, r.begin * inner, T(0));
    std::copy_n(dy + o * block, block, row + r.begin * inner);
    std::fill_n(row + r.end * inner, (shape[r.axis] - r.end) * inner, T(0));
  }
}

Attrs range(int64_t axis, int64_t begin, int64_t end) {
  return Attrs{{"axis", axis}, {"begin", begin}, {"end", end}};
}

const RegisterOp slice_op({
    .name = "slice",
    .formula = "y = x[.., begin:end, ..] along axis\ndx = dy there, 0 elsewhere",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .infer = infer_slice,
    .forward = slice_forward,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { slice_backward<decltype(t)>(c); }>,
    .cases = {{{values({5, 3})}, range(0, 1, 4)},
              {{values({2, 3, 4, 5})}, range(-1, 2, 5)},
              {{values({2, 7, 3})}, range(1, 0, 2)},
              {{values({4})}, range(0, 2, 2)},
              {{values({3, 4})}, range(1, -3, -1)},
              {{values({0, 4})}, range(1, 1, 3)},
              big_case({values({6, 13, 11, 40})}, range(3, 7, 33)),
              big_case({values({3, 5, 7, 48})}, range(3, 8, 32))},
});

// --- pad2d ---------------------------------------------------------------------------------------
std::vector<TensorSpec> infer_pad2d(const Tensors& in, const Attrs& attrs) {
  check_image("pad2d", "x", in[0]);
  const auto p = attrs.integers("padding");
  LIMBECK_CHECK(p.size() == 4,
                "pad2d: attribute 'padding' must be [top, bottom, left, right], found ",
                to_string(attrs));
  for (const int64_t size : p) checked_size("pad2d", "padding", size, 0);
  const Shape& s = in[0].shape();
  return {{{s[0], s[1] + p[0] + p[1], s[2] + p[2] + p[3], s[3]}, in[0].dtype()}};
}

template <class T>
void pad2d_forward(const ForwardCall& c) {
  const Shape &from = c.in[0].shape(), &to = c.out[0].shape();
  const auto p = c.attrs.integers("padding");
  const T* x = c.in[0].data<T>();
  T* y = c.out[0].data<T>();
  std::fill_n(y, to.numel(), static_cast<T>(c.attrs.number("value", 0)));
  const int64_t row = from[2] * from[3];
  for (int64_t n = 0; n < from[0]; ++n)
    for (int64_t h = 0; h < from[1]; ++h)
      std::copy_n(x + (n * from[1] + h) * row, row,
                  y + ((n * to[1] + h + p[0]) * to[2] + p[2]) * to[3]);
}

template <class T>
void pad2d_backward(const BackwardCall& c) {
  const Shape &inner = c.din[0].shape(), &outer = c.dout[0].shape();
  const auto p = c.attrs.integers("padding");
  const T* dy = c.dout[0].data<T>();
  T* dx = c.din[0].data<T>();
  const int64_t row = inner[2] * inner[3];
  for (int64_t n = 0; n < inner[0]; ++n)
    for (int64_t h = 0; h < inner[1]; ++h)
      std::copy_n(dy + ((n * outer[1] + h + p[0]) * outer[2] + p[2]) * outer[3], row,
                  dx + (n * inner[1] + h) * row);
}

Attrs padding(std::vector<int64_t> p, double value = 0) {
  return Attrs{{"padding", std::move(p)}, {"value", value}};
}

const RegisterOp pad2d_op({
    .name = "pad2d",
    .formula = "y = x inside, value in the border\ndx = the inner part of dy",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .infer = infer_pad2d,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { pad2d_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { pad2d_backward<decltype(t)>(c); }>,
    .cases = {{{values({2, 3, 4, 3})}, padding({1, 1, 1, 1})},
              {{values({1, 2, 5, 1})}, padding({0, 2, 3, 1}, 0.5)},
              {{values({3, 1, 1, 5})}, padding({0, 0, 0, 0})},
              {{values({0, 2, 2, 3})}, padding({1, 0, 0, 1})},
              big_case({values({4, 13, 9, 33})}, padding({2, 1, 0, 3}, -2)),
              big_case({values({3, 5, 6, 16})}, padding({1, 2, 3, 1}, -2))},
    .images = true,
});

}  // namespace
}  // namespace limbeck
