// Reductions over any axes: sum, mean, max, var. Contract and reference.
//   x any shape -> y: x's shape without `axes` (or with size 1 there when keepdim). Empty axes:
//   all of them.
// An empty sum is 0, an empty mean is NaN, an empty max is an error, a variance without a degree of
// freedom is NaN. Sums run in double.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/broadcast.h"
#include "ops/checks.h"
#include "ops/op.h"
#include "ops/reduce.h"

namespace limbeck {

Shape kept_shape(const Shape& x, const Attrs& attrs) {
  const std::vector<int64_t> axes = attrs.integers("axes");
  Shape kept = x;
  for (int d = 0; d < x.rank() && axes.empty(); ++d) kept.set(d, 1);
  for (const int64_t axis : axes) kept.set(x.normalise(static_cast<int>(axis)), 1);
  return kept;
}

namespace {

std::vector<TensorSpec> infer(const Tensors& in, const Attrs& attrs) {
  check_floating("reduction", "x", in[0]);
  const Shape& x = in[0].shape();
  const Shape kept = kept_shape(x, attrs);
  if (attrs.flag("keepdim")) return {{kept, accumulation_type(in[0].dtype())}};
  std::vector<bool> reduced(x.rank(), attrs.integers("axes").empty());
  for (const int64_t axis : attrs.integers("axes"))
    reduced[x.normalise(static_cast<int>(axis))] = true;
  std::vector<int64_t> sizes;
  for (int d = 0; d < x.rank(); ++d)
    if (!reduced[d]) sizes.push_back(x[d]);
  return {{Shape(sizes), accumulation_type(in[0].dtype())}};
}

// Calls f(i, j) for element i of x, which is reduced into element j of y.
template <class F>
void each(const Shape& x, const Attrs& attrs, F&& f) {
  for_each_broadcast<1>(x, {broadcast_strides(kept_shape(x, attrs), x)},
                        [&](int64_t i, const auto& at) { f(i, at[0]); });
}

// Elements of x in each element of y.
int64_t group_size(const Shape& x, const Attrs& attrs) {
  int64_t n = 1;
  std::vector<int64_t> axes = attrs.integers("axes");
  std::vector<bool> reduced(x.rank(), axes.empty());
  for (const int64_t axis : axes) reduced[x.normalise(static_cast<int>(axis))] = true;
  for (int d = 0; d < x.rank(); ++d)
    if (reduced[d]) n *= x[d];
  return n;
}

template <class T, bool average>
void sum_forward(const ForwardCall& c) {
  const T* x = c.in[0].data<T>();
  std::vector<double> sum(c.out[0].numel(), 0.0);
  each(c.in[0].shape(), c.attrs, [&](int64_t i, int64_t j) { sum[j] += x[i]; });
  const double n = average ? double(group_size(c.in[0].shape(), c.attrs)) : 1.0;
  T* y = c.out[0].data<T>();
  for (size_t j = 0; j < sum.size(); ++j) y[j] = static_cast<T>(sum[j] / n);
}

template <class T, bool average>
void sum_backward(const BackwardCall& c) {
  if (!c.din[0].defined()) return;
  const Shape& shape = c.din[0].shape();
  const double n = average ? double(group_size(shape, c.attrs)) : 1.0;
  const T* dy = c.dout[0].data<T>();
  T* dx = c.din[0].data<T>();
  each(shape, c.attrs, [&](int64_t i, int64_t j) { dx[i] = static_cast<T>(dy[j] / n); });
}

template <class T>
void max_forward(const ForwardCall& c) {
  const T* x = c.in[0].data<T>();
  const auto y = c.out[0].span<T>();
  std::fill(y.begin(), y.end(), -std::numeric_limits<T>::infinity());
  each(c.in[0].shape(), c.attrs, [&](int64_t i, int64_t j) {
    if (x[i] > y[j] || x[i] != x[i]) y[j] = x[i];
  });
}

template <class T>
void max_backward(const BackwardCall& c) {
  if (!c.din[0].defined()) return;
  const T *x = c.in[0].data<T>(), *y = c.out[0].data<T>(), *dy = c.dout[0].data<T>();
  T* dx = c.din[0].data<T>();
  std::vector<int64_t> ties(c.out[0].numel(), 0);
  each(c.din[0].shape(), c.attrs, [&](int64_t i, int64_t j) { ties[j] += x[i] == y[j]; });
  each(c.din[0].shape(), c.attrs, [&](int64_t i, int64_t j) {
    dx[i] = x[i] == y[j] ? dy[j] / static_cast<T>(ties[j]) : T(0);
  });
}

std::vector<TensorSpec> infer_max(const Tensors& in, const Attrs& attrs) {
  auto specs = infer(in, attrs);
  LIMBECK_CHECK(specs[0].shape.numel() == 0 || in[0].numel() > 0,
                "max: no element to take the maximum of in ", describe(in[0]));
  return specs;
}

template <class T>
std::vector<double> means(const Tensor& x, const Attrs& attrs) {
  std::vector<double> mean(kept_shape(x.shape(), attrs).numel(), 0.0);
  const double n = double(group_size(x.shape(), attrs));
  const T* p = x.data<T>();
  each(x.shape(), attrs, [&](int64_t i, int64_t j) { mean[j] += p[i]; });
  for (double& m : mean) m /= n;
  return mean;
}

double degrees_of_freedom(const Shape& x, const Attrs& attrs) {
  return double(
      std::max<int64_t>(0, group_size(x, attrs) - (attrs.flag("unbiased", true) ? 1 : 0)));
}

template <class T>
void var_forward(const ForwardCall& c) {
  const std::vector<double> mean = means<T>(c.in[0], c.attrs);
  const T* x = c.in[0].data<T>();
  std::vector<double> sum(mean.size(), 0.0);
  each(c.in[0].shape(), c.attrs,
       [&](int64_t i, int64_t j) { sum[j] += (x[i] - mean[j]) * (x[i] - mean[j]); });
  const double n = degrees_of_freedom(c.in[0].shape(), c.attrs);
  T* y = c.out[0].data<T>();
  for (size_t j = 0; j < sum.size(); ++j) y[j] = static_cast<T>(sum[j] / n);
}

template <class T>
void var_backward(const BackwardCall& c) {
  if (!c.din[0].defined()) return;
  const std::vector<double> mean = means<T>(c.in[0], c.attrs);
  const double n = degrees_of_freedom(c.in[0].shape(), c.attrs);
  const T *x = c.in[0].data<T>(), *dy = c.dout[0].data<T>();
  T* dx = c.din[0].data<T>();
  each(c.in[0].shape(), c.attrs,
       [&](int64_t i, int64_t j) { dx[i] = static_cast<T>(dy[j] * 2 * (x[i] - mean[j]) / n); });
}

std::vector<OpCase> cases(bool allow_empty) {
  const auto axes = [](std::vector<int64_t> list, bool keepdim = false) {
    return Attrs{{"axes", list}, {"keepdim", keepdim}};
  };
  std::vector<OpCase> list = {
      {{{{3, 5}}}, {}},
      {{{{7}}}, axes({0}, true)},
      {{{{2, 3, 4}}}, axes({1})},
      {{{{2, 3, 4}}}, axes({0, 2}, true)},
      {{{{3, 5}}}, axes({-1})},
      {{{{2, 3, 2, 3}}}, axes({1, 2})},
      {{{{2, 3, 2}}}, axes({0})},
      {{{{0, 3}}}, axes({1})},
      {{{{5, 0}}}, axes({0})},
      {{{{4, 0, 5}}}, axes({0, 2}, true)},
      {{{{2, 0, 3, 0}}}, axes({1, 2})},
      {{{{5, 13, 11, 67}}}, axes({1, 2}), false},
      {{{{257, 33}}}, axes({0}), false},
      {{{{33, 515}}}, axes({1}, true), false},
      {{{{70001}}}, {}, false},
      {{{{6, 5, 4, 3, 9}}}, axes({0, 2, 4}), false},
      {{{{3, 6, 6, 40}}}, axes({1, 2}), false},
      {{{{2, 12, 11, 24}}}, axes({1, 2}, true), false},
  };
  if (allow_empty) list.push_back({{{{0, 3}}}, axes({0})});
  return list;
}

template <class F>
std::vector<OpCase> with(std::vector<OpCase> list, F change) {
  for (OpCase& c : list) change(c);
  return list;
}

const RegisterOp sum_op({
    .name = "sum",
    .formula = "y = sum of x over axes\ndx = dy",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .infer = infer,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) { sum_forward<decltype(t), false>(c); }>,
    .backward = floating<
        BackwardCall, [](auto t, const BackwardCall& c) { sum_backward<decltype(t), false>(c); }>,
    .cases = cases(true),
});
const RegisterOp mean_op({
    .name = "mean",
    .formula = "y = sum of x over axes / n\ndx = dy / n",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .infer = infer,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) { sum_forward<decltype(t), true>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { sum_backward<decltype(t), true>(c); }>,
    .cases = cases(false),
});
const RegisterOp max_op({
    .name = "max",
    .formula = "y = max of x over axes\ndx = dy [x = y] / (number of ties)",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .saved_inputs = {0},
    .saved_outputs = {0},
    .infer = infer_max,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { max_forward<decltype(t)>(c); }>,
    .backward =
        floating<BackwardCall, [](auto t, const BackwardCall& c) { max_backward<decltype(t)>(c); }>,
    .cases = cases(false),
    .distinct_values = true,
});
const RegisterOp var_op({
    .name = "var",
    .formula =
        "y = sum of (x - mean)^2 over axes / (n - unbiased)\ndx = 2 dy (x - mean) / (n - unbiased)",
    .source = "elementary (two passes)",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .saved_inputs = {0},
    .infer = infer,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { var_forward<decltype(t)>(c); }>,
    .backward =
        floating<BackwardCall, [](auto t, const BackwardCall& c) { var_backward<decltype(t)>(c); }>,
    .cases = with(cases(false),
                  [i = 0](OpCase& c) mutable {
                    if (i++ % 2) c.attrs.set("unbiased", false);
                  }),
});

}  // namespace
}  // namespace limbeck
