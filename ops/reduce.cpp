// Reductions over any axes: sum, mean, max, min, var, logsumexp. Contract and reference.
//   x any shape -> y: x's shape without `axes` (or with size 1 there when keepdim). Empty axes:
//   all of them.
// An empty sum is 0, an empty mean is NaN, an empty max or min is an error, a variance without a
// degree of freedom is NaN, an empty logsumexp is -inf. Sums run in double. sum, max and min take
// i32 and i64, too: their sum is an i64 that wraps.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/broadcast.h"
#include "ops/checks.h"
#include "ops/op.h"
#include "ops/reduce.h"
#include "ops/softmax.h"

namespace limbeck {

Shape kept_shape(const Shape& x, const Attrs& attrs) {
  const std::vector<int64_t> axes = attrs.integers("axes");
  Shape kept = x;
  for (int d = 0; d < x.rank() && axes.empty(); ++d) kept.set(d, 1);
  for (const int64_t axis : axes) kept.set(x.normalise(axis), 1);
  return kept;
}

namespace {

constexpr char sum_name[] = "sum", mean_name[] = "mean", max_name[] = "max", min_name[] = "min",
               var_name[] = "var", logsumexp_name[] = "logsumexp";

Shape reduced_shape(const Shape& x, const Attrs& attrs) {
  if (attrs.flag("keepdim")) return kept_shape(x, attrs);
  std::vector<bool> reduced(x.rank(), attrs.integers("axes").empty());
  for (const int64_t axis : attrs.integers("axes")) reduced[x.normalise(axis)] = true;
  std::vector<int64_t> sizes;
  for (int d = 0; d < x.rank(); ++d)
    if (!reduced[d]) sizes.push_back(x[d]);
  return Shape(sizes);
}

template <const char* name>
std::vector<TensorSpec> infer(const Tensors& in, const Attrs& attrs) {
  check_floating(name, "x", in[0]);
  check_axes(name, attrs, in[0].shape());
  return {{reduced_shape(in[0].shape(), attrs), accumulation_type(in[0].dtype())}};
}

std::vector<TensorSpec> infer_sum(const Tensors& in, const Attrs& attrs) {
  check_number(sum_name, "x", in[0]);
  check_axes(sum_name, attrs, in[0].shape());
  const DType type = in[0].dtype();
  return {{reduced_shape(in[0].shape(), attrs),
           is_counting(type) ? DType::i64 : accumulation_type(type)}};
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
  for (const int64_t axis : axes) reduced[x.normalise(axis)] = true;
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

template <class T>
void sum_whole(const ForwardCall& c) {
  const T* x = c.in[0].data<T>();
  std::vector<uint64_t> sum(c.out[0].numel(), 0);
  each(c.in[0].shape(), c.attrs,
       [&](int64_t i, int64_t j) { sum[j] += static_cast<uint64_t>(x[i]); });
  std::copy(sum.begin(), sum.end(), c.out[0].data<int64_t>());
}

void sum_of_any(const ForwardCall& c) {
  if (c.in[0].dtype() == DType::i64) return sum_whole<int64_t>(c);
  if (c.in[0].dtype() == DType::i32) return sum_whole<int32_t>(c);
  floating<ForwardCall, [](auto t, const ForwardCall& f) { sum_forward<decltype(t), false>(f); }>(
      c);
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

/// Of `sign` times the elements the largest; NaN wins.
template <class T, int sign>
void extremum_forward(const ForwardCall& c) {
  const T* x = c.in[0].data<T>();
  const auto y = c.out[0].span<T>();
  std::fill(y.begin(), y.end(), farthest<T>(sign));
  each(c.in[0].shape(), c.attrs, [&](int64_t i, int64_t j) {
    if ((sign > 0 ? x[i] > y[j] : x[i] < y[j]) || x[i] != x[i]) y[j] = x[i];
  });
}

template <int sign>
void extremum_of_any(const ForwardCall& c) {
  if (c.in[0].dtype() == DType::i64) return extremum_forward<int64_t, sign>(c);
  if (c.in[0].dtype() == DType::i32) return extremum_forward<int32_t, sign>(c);
  floating<ForwardCall,
           [](auto t, const ForwardCall& f) { extremum_forward<decltype(t), sign>(f); }>(c);
}

template <class T>
void extremum_backward(const BackwardCall& c) {
  if (!c.din[0].defined()) return;
  const T *x = c.in[0].data<T>(), *y = c.out[0].data<T>(), *dy = c.dout[0].data<T>();
  T* dx = c.din[0].data<T>();
  std::vector<int64_t> ties(c.out[0].numel(), 0);
  each(c.din[0].shape(), c.attrs, [&](int64_t i, int64_t j) { ties[j] += x[i] == y[j]; });
  each(c.din[0].shape(), c.attrs, [&](int64_t i, int64_t j) {
    dx[i] = x[i] == y[j] ? dy[j] / static_cast<T>(ties[j]) : T(0);
  });
}

template <const char* name>
std::vector<TensorSpec> infer_extremum(const Tensors& in, const Attrs& attrs) {
  check_number(name, "x", in[0]);
  check_axes(name, attrs, in[0].shape());
  const Shape shape = reduced_shape(in[0].shape(), attrs);
  LIMBECK_CHECK(shape.numel() == 0 || in[0].numel() > 0, name,
                ": no element to choose from in 'x' ", describe(in[0]));
  const DType type = in[0].dtype();
  return {{shape, is_counting(type) ? type : accumulation_type(type)}};
}

/// Of each group the largest element (0 where it is not finite: e^x is 0 or infinite by itself),
/// and the sum of e^(x - largest).
struct ExpSums {
  std::vector<double> largest, sum;
  template <class T>
  ExpSums(const Tensor& x, int64_t groups, const Attrs& attrs, const T* p)
      : largest(static_cast<size_t>(groups), -std::numeric_limits<double>::infinity()),
        sum(largest.size(), 0.0) {
    each(x.shape(), attrs,
         [&](int64_t i, int64_t j) { largest[j] = std::max<double>(largest[j], p[i]); });
    for (double& m : largest)
      if (!std::isfinite(m)) m = 0;
    each(x.shape(), attrs, [&](int64_t i, int64_t j) { sum[j] += std::exp(p[i] - largest[j]); });
  }
};

template <class T>
void logsumexp_forward(const ForwardCall& c) {
  const ExpSums s(c.in[0], c.out[0].numel(), c.attrs, c.in[0].data<T>());
  T* y = c.out[0].data<T>();
  for (size_t j = 0; j < s.sum.size(); ++j)
    y[j] = static_cast<T>(s.largest[j] + std::log(s.sum[j]));
}

/// From x alone: y has lost the logarithm beside a large x.
template <class T>
void logsumexp_backward(const BackwardCall& c) {
  if (!c.din[0].defined()) return;
  const T *x = c.in[0].data<T>(), *dy = c.dout[0].data<T>();
  const ExpSums s(c.in[0], c.dout[0].numel(), c.attrs, x);
  T* dx = c.din[0].data<T>();
  each(c.din[0].shape(), c.attrs, [&](int64_t i, int64_t j) {
    dx[i] = static_cast<T>(dy[j] * (std::exp(x[i] - s.largest[j]) / s.sum[j]));
  });
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
  // sums so long that a plain float one is off by hundredths of a percent
  list.push_back({{{{1 << 16}, 0.1, 0.1}}, {}, false});
  list.push_back({{{{1 << 15, 3}, 0.1, 0.1}}, axes({0}), false});
  return list;
}

std::vector<OpCase> with_integers(std::vector<OpCase> list) {
  for (const DType type : {DType::i64, DType::i32})
    for (const auto& [shape, axes] : std::vector<std::pair<Shape, std::vector<int64_t>>>{
             {{3, 5}, {}}, {{2, 3, 4}, {1}}, {{2, 3, 4}, {0, 2}}, {{5, 0}, {0}}, {{33, 515}, {1}}})
      list.push_back({{{shape, -1e6, 1e6, type}}, {{"axes", axes}}, false});
  return list;
}

template <class F>
std::vector<OpCase> with(std::vector<OpCase> list, F change) {
  for (OpCase& c : list) change(c);
  return list;
}

std::vector<OpCase> logsumexp_cases() {
  std::vector<OpCase> list = cases(true);
  for (OpCase& c : list)  // not so long that the reference's own sum is in doubt
    if (c.inputs[0].shape == Shape{70001}) c.inputs[0].shape = {3001};
  for (const CaseInput& x : extreme_logits())
    list.push_back({.inputs = {x}, .grad = false, .exact = true});
  return list;
}

const RegisterOp sum_op({
    .name = "sum",
    .formula = "y = sum of x over axes\ndx = dy",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .infer = infer_sum,
    .forward = sum_of_any,
    .backward = floating<
        BackwardCall, [](auto t, const BackwardCall& c) { sum_backward<decltype(t), false>(c); }>,
    .cases = with_integers(cases(true)),
});
const RegisterOp mean_op({
    .name = "mean",
    .formula = "y = sum of x over axes / n\ndx = dy / n",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .infer = infer<mean_name>,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) { sum_forward<decltype(t), true>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { sum_backward<decltype(t), true>(c); }>,
    .cases = cases(false),
});
template <int sign, const char* name>
Op extremum(const char* formula) {
  return {
      .name = name,
      .formula = formula,
      .source = "elementary",
      .inputs = {{"x"}},
      .outputs = {{"y"}},
      .saved_inputs = {0},
      .saved_outputs = {0},
      .infer = infer_extremum<name>,
      .forward = extremum_of_any<sign>,
      .backward =
          floating<BackwardCall,
                   [](auto t, const BackwardCall& c) { extremum_backward<decltype(t)>(c); }>,
      .cases = with_integers(with(cases(false), [](OpCase& c) { c.inputs[0].high = 1; })),
      .distinct_values = true,
  };
}
const RegisterOp max_op(
    extremum<1, max_name>("y = max of x over axes\ndx = dy [x = y] / (number of ties)"));
const RegisterOp min_op(
    extremum<-1, min_name>("y = min of x over axes\ndx = dy [x = y] / (number of ties)"));
const RegisterOp logsumexp_op({
    .name = "logsumexp",
    .formula = "y = log of the sum of e^x over axes\ndx = dy e^x / (sum of e^x)",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .saved_inputs = {0},
    .infer = infer<logsumexp_name>,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) { logsumexp_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { logsumexp_backward<decltype(t)>(c); }>,
    .cases = logsumexp_cases(),
});
const RegisterOp var_op({
    .name = "var",
    .formula =
        "y = sum of (x - mean)^2 over axes / (n - unbiased)\ndx = 2 dy (x - mean) / (n - unbiased)",
    .source = "elementary (two passes)",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .saved_inputs = {0},
    .infer = infer<var_name>,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { var_forward<decltype(t)>(c); }>,
    .backward =
        floating<BackwardCall, [](auto t, const BackwardCall& c) { var_backward<decltype(t)>(c); }>,
    .cases = with(cases(false),
                  [i = 0](OpCase& c) mutable {
                    // A constant has no variance to compare.
                    if (c.inputs[0].low == c.inputs[0].high) c.inputs[0].high = 0.4;
                    if (i++ % 2) c.attrs.set("unbiased", false);
                  }),
});

}  // namespace
}  // namespace limbeck
