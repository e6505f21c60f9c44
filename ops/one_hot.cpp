// one_hot, argmax and topk: from indices to rows and from rows to indices. Contract and reference.
//   one_hot:  y[.., c] = 1 if c = index[..], else 0, f32; an index outside [0, classes) is refused
//   argmax:   y = index along `axis` of the first maximum, i64
//   topk:     values, indices i64 [.., k] = the k largest along the last axis, largest first, of
//             equal ones the first first;   dx[.., index_j] = dvalues_j, 0 elsewhere
// NaN counts as larger than every number.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/cases.h"
#include "ops/checks.h"

namespace limbeck::one_hot_op {
namespace {

std::vector<TensorSpec> infer_one_hot(const Tensors& in, const Attrs& attrs) {
  LIMBECK_CHECK(in[0].dtype() == DType::i64, "one_hot: 'index' must be i64, found ",
                describe(in[0]));
  return {{in[0].shape().appended(size_attribute("one_hot", attrs, "classes", 1, 1)), DType::f32}};
}

void one_hot_forward(const ForwardCall& c) {
  const int64_t classes = c.out[0].size(-1);
  const auto index = c.in[0].span<int64_t>();
  const auto y = c.out[0].span<float>();
  std::fill(y.begin(), y.end(), 0.0f);
  for (size_t i = 0; i < index.size(); ++i) {
    LIMBECK_CHECK(index[i] >= 0 && index[i] < classes, "one_hot: index[", i, "] = ", index[i],
                  " is outside [0, ", classes, ")");
    y[i * static_cast<size_t>(classes) + static_cast<size_t>(index[i])] = 1;
  }
}

OpCase one_hot_case(const Shape& shape, int64_t classes) {
  return big_case({indices(shape, classes)}, {{"classes", classes}});
}

const RegisterOp one_hot_op({
    .name = "one_hot",
    .formula = "y[.., c] = 1 if c = index[..], else 0\nno gradient",
    .source = "elementary",
    .inputs = {{"index", false}},
    .outputs = {{"y", false}},
    .infer = infer_one_hot,
    .forward = one_hot_forward,
    .cases = {one_hot_case({4}, 5), one_hot_case({2, 3}, 1), one_hot_case({}, 3),
              one_hot_case({0, 2}, 4), one_hot_case({130}, 33)},
});

/// Whether a comes before b among the largest; equal ones stay in order.
template <class T>
bool larger(T a, T b) {
  return a > b || (a != a && b == b);
}

std::vector<TensorSpec> infer_argmax(const Tensors& in, const Attrs& attrs) {
  check_floating("argmax", "x", in[0]);
  LIMBECK_CHECK(in[0].rank() >= 1, "argmax: 'x' needs at least one dimension, found ",
                describe(in[0]));
  const int axis = axis_attribute("argmax", attrs, in[0].shape(), -1);
  LIMBECK_CHECK(in[0].size(axis) > 0, "argmax: no element to choose from along axis ", axis,
                " of 'x' ", describe(in[0]));
  std::vector<int64_t> sizes = in[0].shape().vec();
  if (attrs.flag("keepdim"))
    sizes[static_cast<size_t>(axis)] = 1;
  else
    sizes.erase(sizes.begin() + axis);
  return {{Shape(sizes), DType::i64}};
}

template <class T>
void argmax_forward(const ForwardCall& c) {
  const Shape& shape = c.in[0].shape();
  const int axis = shape.normalise(c.attrs.integer("axis", -1));
  const int64_t size = shape[axis], inner = shape.numel(axis + 1, shape.rank());
  const T* x = c.in[0].data<T>();
  int64_t* y = c.out[0].data<int64_t>();
  for (int64_t j = 0; j < c.out[0].numel(); ++j) {
    const T* row = x + j / inner * size * inner + j % inner;
    y[j] = 0;
    for (int64_t i = 1; i < size; ++i)
      if (larger(row[i * inner], row[y[j] * inner])) y[j] = i;
  }
}

OpCase argmax_case(const CaseInput& x, int64_t axis, bool keepdim = false) {
  return big_case({x}, {{"axis", axis}, {"keepdim", keepdim}});
}

const RegisterOp argmax_op({
    .name = "argmax",
    .formula = "y = index of the first maximum along axis\nno gradient",
    .source = "elementary",
    .inputs = {{"x", false}},
    .outputs = {{"y", false}},
    .infer = infer_argmax,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { argmax_forward<decltype(t)>(c); }>,
    .cases = {argmax_case(values({3, 5}), -1), argmax_case(values({3, 5}), 0, true),
              argmax_case(values({2, 7, 3}), 1), argmax_case(values({1}), 0),
              argmax_case(values({0, 4}), 1), argmax_case(values({65, 100}), -1),
              argmax_case({.shape = {3, 3},
                           .first = {1, 1, 0, NAN, 5, NAN, -HUGE_VAL, -HUGE_VAL, -HUGE_VAL}},
                          1)},
});

std::vector<TensorSpec> infer_topk(const Tensors& in, const Attrs& attrs) {
  check_floating("topk", "x", in[0]);
  const int64_t k = size_attribute("topk", attrs, "k", 1, 1);
  LIMBECK_CHECK(in[0].rank() >= 1 && k <= in[0].size(-1), "topk: attribute 'k' = ", k,
                " must be at most the last dimension of 'x' ", describe(in[0]));
  Shape shape = in[0].shape();
  shape.set(-1, k);
  return {{shape, in[0].dtype()}, {shape, DType::i64}};
}

template <class T>
void topk_forward(const ForwardCall& c) {
  const int64_t size = c.in[0].size(-1), k = c.out[0].size(-1);
  std::vector<int64_t> order(static_cast<size_t>(size));
  for (int64_t r = 0; r < c.out[0].numel() / k; ++r) {
    const T* x = c.in[0].data<T>() + r * size;
    std::iota(order.begin(), order.end(), int64_t{0});
    std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
      return larger(x[a], x[b]) || (!larger(x[b], x[a]) && a < b);
    });
    for (int64_t j = 0; j < k; ++j) {
      c.out[1].data<int64_t>()[r * k + j] = order[static_cast<size_t>(j)];
      c.out[0].data<T>()[r * k + j] = x[order[static_cast<size_t>(j)]];
    }
  }
}

template <class T>
void topk_backward(const BackwardCall& c) {
  const int64_t size = c.din[0].size(-1), k = c.dout[0].size(-1);
  const auto dx = c.din[0].span<T>();
  std::fill(dx.begin(), dx.end(), T(0));
  for (int64_t i = 0; i < c.dout[0].numel(); ++i)
    dx[static_cast<size_t>(i / k * size + c.out[1].data<int64_t>()[i])] = c.dout[0].data<T>()[i];
}

OpCase topk_case(const Shape& x, int64_t k, bool grad = true) {
  return {{values(x)}, {{"k", k}}, grad};
}

const RegisterOp topk_op({
    .name = "topk",
    .formula = "values, indices = the k largest along the last axis, in order\n"
               "dx[indices] = dvalues, 0 elsewhere",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"values"}, {"indices", false}},
    .saved_outputs = {1},
    .infer = infer_topk,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { topk_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { topk_backward<decltype(t)>(c); }>,
    .cases = {topk_case({3, 5}, 2),
              topk_case({7}, 7),
              topk_case({2, 3, 4}, 1),
              topk_case({0, 4}, 2),
              topk_case({65, 100}, 5, false),
              {.inputs = {{.shape = {2, 4}, .first = {1, 2, 1, 2, NAN, 0, HUGE_VAL, NAN}}},
               .attrs = {{"k", int64_t{3}}},
               .grad = false,
               .exact = true}},
    .distinct_values = true,
});

}  // namespace
}  // namespace limbeck::one_hot_op
