// gather and scatter_add: elements along one axis, each chosen by an i64 index of its own, as
// torch.gather and torch.scatter_add take them. Contract and reference, for two dimensions, axis 1:
//   gather       y[n, j] = x[n, index[n, j]];       dx[n, c] = sum of dy[n, j] over index[n, j] = c
//   scatter_add  y[n, c] = x[n, c] + sum of src[n, j] over index[n, j] = c;
//                dx = dy, dsrc[n, j] = dy[n, index[n, j]]
// The index may be shorter than x along the other dimensions; src may be longer than the index, and
// what stands beyond it is not read. gather also takes an index that lacks the axis: one element of
// each line, y of the index's shape. Sums of floats run in double, those of integers wrap.
#include "ops/gather.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "ops/cases.h"
#include "ops/checks.h"

namespace limbeck {

GatherPlaces gather_places(const char* op, const Shape& x, const Shape& index, const Attrs& attrs,
                           bool may_lack_axis) {
  const auto found = [&] { return cat(", found ", index, " for x ", x); };
  LIMBECK_CHECK(x.rank() >= 1, op, ": 'x' must have at least one dimension, found ", x);
  GatherPlaces p;
  p.axis = axis_attribute(op, attrs, x, -1);
  p.x = x;
  std::vector<int64_t> sizes = index.vec();
  if (may_lack_axis && index.rank() == x.rank() - 1) sizes.insert(sizes.begin() + p.axis, 1);
  LIMBECK_CHECK(static_cast<int>(sizes.size()) == x.rank(), op,
                ": 'index' must have as many dimensions as 'x'",
                may_lack_axis ? ", or one less" : "", found());
  p.index = Shape(sizes);
  p.strides = broadcast_strides(x, x);
  for (int d = 0; d < x.rank(); ++d)
    LIMBECK_CHECK(d == p.axis || p.index[d] <= x[d], op, ": 'index' must not be longer than 'x' in",
                  " dimension ", d, found());
  p.step = x.numel(p.axis + 1, x.rank());
  p.strides[static_cast<size_t>(p.axis)] = 0;
  return p;
}

namespace gather_op {
namespace {

GatherPlaces places_of(const char* op, const Tensor& x, const Tensor& index, const Attrs& attrs,
                       bool may_lack_axis) {
  LIMBECK_CHECK(index.dtype() == DType::i64, op, ": 'index' must be i64, found ", describe(index));
  return gather_places(op, x.shape(), index.shape(), attrs, may_lack_axis);
}

/// Calls f(i, place in x, place in a tensor of `other`) for element i of the index.
template <class F>
void each_place(const char* op, const GatherPlaces& p, const int64_t* index, const Shape& other,
                F&& f) {
  for_each_broadcast<2>(p.index, {p.strides, broadcast_strides(other, other)},
                        [&](int64_t i, const auto& at) {
                          LIMBECK_CHECK(index[i] >= 0 && index[i] < p.size(), op, ": index[", i,
                                        "] = ", index[i], " is outside [0, ", p.size(), ")");
                          f(i, at[0] + index[i] * p.step, at[1]);
                        });
}

// --- gather --------------------------------------------------------------------------------------
std::vector<TensorSpec> infer_gather(const Tensors& in, const Attrs& attrs) {
  places_of("gather", in[0], in[1], attrs, true);
  return {{in[1].shape(), in[0].dtype()}};
}

void gather_forward(const ForwardCall& c) {
  const GatherPlaces p = places_of("gather", c.in[0], c.in[1], c.attrs, true);
  dispatch_all(c.in[0].dtype(), "gather", [&](auto t) {
    using T = decltype(t);
    const T* x = c.in[0].data<T>();
    T* y = c.out[0].data<T>();
    each_place("gather", p, c.in[1].data<int64_t>(), p.index,
               [&](int64_t i, int64_t from, int64_t) { y[i] = x[from]; });
  });
}

template <class T>
void gather_backward(const BackwardCall& c) {
  if (!c.din[0]) return;
  const GatherPlaces p = places_of("gather", c.din[0], c.in[1], c.attrs, true);
  const T* dy = c.dout[0].data<T>();
  std::vector<double> sum(static_cast<size_t>(c.din[0].numel()), 0.0);
  each_place("gather", p, c.in[1].data<int64_t>(), p.index,
             [&](int64_t i, int64_t to, int64_t) { sum[static_cast<size_t>(to)] += dy[i]; });
  std::copy(sum.begin(), sum.end(), c.din[0].data<T>());
}

Attrs along(int64_t axis) { return {{"axis", axis}}; }

const RegisterOp gather_record({
    .name = "gather",
    .formula = "y[n, j] = x[n, index[n, j]] along axis\ndx[n, c] = sum of dy[n, j] over "
               "index[n, j] = c",
    .source = "elementary",
    .inputs = {{"x"}, {"index", false}},
    .outputs = {{"y"}},
    .saved_inputs = {1},
    .infer = infer_gather,
    .forward = gather_forward,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { gather_backward<decltype(t)>(c); }>,
    .cases = {{{values({4, 3}), indices({4}, 3)}},
              {{values({1, 7}), indices({1}, 7)}},
              {{values({5, 1}), indices({5}, 1)}},
              {{values({0, 4}), indices({0}, 4)}},
              {{values({4, 3}), indices({4, 5}, 3)}},
              {{values({4, 3}), indices({2, 3}, 4)}, along(0)},
              {{values({6}), indices({9}, 6)}, along(0)},
              {{values({6}), indices({}, 6)}},
              {{values({2, 3, 4}), indices({2, 4}, 3)}, along(1)},
              {{values({2, 3, 4}), indices({1, 5, 3}, 3)}, along(-2)},
              {{values({3, 2, 2}), indices({7, 1, 2}, 3)}, along(0)},
              {{values({2, 3}), indices({2, 0}, 3)}},
              {{{{4, 3}, -9, 9, DType::i64}, indices({4, 2}, 3)}, {}, false},
              big_case({values({130, 33}), indices({130}, 33)}),
              big_case({values({7, 50, 9}), indices({6, 301, 9}, 50)}, along(1)),
              {.inputs = {values({2, 1}), indices({2, 70000}, 1)},
               .grad = false,
               .cotangent = 0.1}},
});

// --- scatter_add ---------------------------------------------------------------------------------
std::vector<TensorSpec> infer_scatter(const Tensors& in, const Attrs& attrs) {
  const Tensor &x = in[0], &index = in[1], &src = in[2];
  check_number("scatter_add", "x", x);
  check_type("scatter_add", "src", src, x);
  const GatherPlaces p = places_of("scatter_add", x, index, attrs, false);
  bool covers = src.rank() == p.index.rank();
  for (int d = 0; covers && d < src.rank(); ++d) covers = src.size(d) >= p.index[d];
  LIMBECK_CHECK(covers, "scatter_add: 'src' must be at least as large as 'index' ", p.index,
                ", found ", describe(src));
  return {{x.shape(), x.dtype()}};
}

template <class T>
void scatter_as(const ForwardCall& c) {
  const GatherPlaces p = places_of("scatter_add", c.in[0], c.in[1], c.attrs, false);
  using Sum = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
  const T *x = c.in[0].data<T>(), *src = c.in[2].data<T>();
  std::vector<Sum> sum(x, x + c.in[0].numel());
  each_place("scatter_add", p, c.in[1].data<int64_t>(), c.in[2].shape(),
             [&](int64_t, int64_t to, int64_t from) {
               sum[static_cast<size_t>(to)] += static_cast<Sum>(src[from]);
             });
  T* y = c.out[0].data<T>();
  for (size_t i = 0; i < sum.size(); ++i) y[i] = static_cast<T>(sum[i]);
}

void scatter_forward(const ForwardCall& c) {
  if (c.in[0].dtype() == DType::i32) return scatter_as<int32_t>(c);
  if (c.in[0].dtype() == DType::i64) return scatter_as<int64_t>(c);
  dispatch_floating(c.in[0].dtype(), "scatter_add", [&](auto t) { scatter_as<decltype(t)>(c); });
}

template <class T>
void scatter_backward(const BackwardCall& c) {
  const Tensor &dy = c.dout[0], &dx = c.din[0], &dsrc = c.din[2];
  if (dx) std::copy_n(dy.data<T>(), dy.numel(), dx.data<T>());
  if (!dsrc) return;
  const GatherPlaces p = places_of("scatter_add", dy, c.in[1], c.attrs, false);
  std::fill_n(dsrc.data<T>(), dsrc.numel(), T(0));
  each_place("scatter_add", p, c.in[1].data<int64_t>(), dsrc.shape(),
             [&](int64_t, int64_t from, int64_t to) { dsrc.data<T>()[to] = dy.data<T>()[from]; });
}

const RegisterOp scatter_record({
    .name = "scatter_add",
    .formula = "y[n, c] = x[n, c] + sum of src[n, j] over index[n, j] = c, along axis\ndx = dy, "
               "dsrc[n, j] = dy[n, index[n, j]]",
    .source = "elementary",
    .inputs = {{"x"}, {"index", false}, {"src"}},
    .outputs = {{"y"}},
    .saved_inputs = {1},
    .infer = infer_scatter,
    .forward = scatter_forward,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { scatter_backward<decltype(t)>(c); }>,
    .cases = {{{values({4, 3}), indices({4, 5}, 3), values({4, 5})}},
              {{values({4, 3}), indices({2, 3}, 4), values({2, 3})}, along(0)},
              {{values({6}), indices({9}, 6), values({11})}},
              {{values({2, 3, 4}), indices({1, 5, 3}, 3), values({2, 5, 4})}, along(-2)},
              {{values({3, 2, 2}), indices({7, 1, 2}, 3), values({7, 1, 2})}, along(0)},
              {{values({2, 3}), indices({2, 0}, 3), values({2, 0})}},
              {{values({0, 4}), indices({0, 2}, 4), values({0, 2})}},
              {{{{4, 3}, -9, 9, DType::i64}, indices({4, 5}, 3), {{4, 5}, -9, 9, DType::i64}},
               {},
               false},
              {{{{4, 3}, -9, 9, DType::i32}, indices({4, 5}, 3), {{4, 5}, -9, 9, DType::i32}},
               {},
               false},
              big_case({values({7, 50, 9}), indices({6, 301, 9}, 50), values({7, 302, 9})},
                       along(1)),
              {.inputs = {values({2, 1}), indices({2, 70000}, 1), {{2, 70000}, 0.1, 0.1}},
               .grad = false}},
    .passes_gradient = [](const std::vector<TensorSpec>&, const TensorSpec&, size_t i,
                          const Attrs&) { return i == 0; },
});

}  // namespace
}  // namespace gather_op
}  // namespace limbeck
