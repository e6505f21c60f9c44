// permute and channel_shuffle: rearrangements of elements. Contract and reference.
//   permute:          y.dim(i) = x.dim(order[i]);             dx = permute(dy, inverse order)
//   channel_shuffle:  y[.., i*g + j] = x[.., j*(C/g) + i];    dx = channel_shuffle(dy, C/g)
//                     (Zhang et al., ShuffleNet, CVPR 2018)
#include <numeric>

#include "ops/cases.h"
#include "ops/checks.h"
#include "ops/op.h"

namespace limbeck::permute_op {
namespace {

std::vector<int64_t> order_of(const Tensor& x, const Attrs& attrs) {
  std::vector<int64_t> order = attrs.integers("order");
  LIMBECK_CHECK(static_cast<int>(order.size()) == x.rank(), "permute: attribute 'order' must name ",
                x.rank(), " dimensions for 'x' ", describe(x), ", found ", to_string(attrs));
  std::vector<bool> seen(order.size(), false);
  for (int64_t d : order) {
    LIMBECK_CHECK(d >= 0 && d < x.rank() && !seen[d],
                  "permute: attribute 'order' must name each of 0..", x.rank() - 1, " once, found ",
                  to_string(attrs));
    seen[d] = true;
  }
  return order;
}

std::vector<TensorSpec> infer_permute(const Tensors& in, const Attrs& attrs) {
  std::vector<int64_t> shape;
  for (int64_t d : order_of(in[0], attrs)) shape.push_back(in[0].size(static_cast<int>(d)));
  return {{Shape(shape), in[0].dtype()}};
}

/// y in its own row-major order; `order[i]` is the dimension of x that becomes dimension i.
template <class T>
void permute_copy(const T* x, const Shape& x_shape, T* y, const std::vector<int64_t>& order) {
  const int rank = static_cast<int>(order.size());
  std::array<int64_t, Shape::max_rank> size{}, stride{}, at{};
  for (int i = 0; i < rank; ++i) {
    size[i] = x_shape[static_cast<int>(order[i])];
    stride[i] = x_shape.numel(static_cast<int>(order[i]) + 1, rank);
  }
  int64_t from = 0;
  for (int64_t i = 0, n = x_shape.numel(); i < n; ++i) {
    y[i] = x[from];
    for (int d = rank - 1; d >= 0; --d) {
      from += stride[d];
      if (++at[d] < size[d]) break;
      from -= stride[d] * size[d];
      at[d] = 0;
    }
  }
}

void permute_forward(const ForwardCall& c) {
  dispatch_all(c.in[0].dtype(), "permute", [&](auto t) {
    using T = decltype(t);
    permute_copy(c.in[0].data<T>(), c.in[0].shape(), c.out[0].data<T>(), c.attrs.integers("order"));
  });
}

template <class T>
void permute_backward(const BackwardCall& c) {
  const std::vector<int64_t> order = c.attrs.integers("order");
  std::vector<int64_t> inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) inverse[order[i]] = static_cast<int64_t>(i);
  permute_copy(c.dout[0].data<T>(), c.dout[0].shape(), c.din[0].data<T>(), inverse);
}

using Order = std::vector<int64_t>;

const RegisterOp permute_op({
    .name = "permute",
    .formula = "y.dim(i) = x.dim(order[i])\ndx = permute(dy, inverse of order)",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .infer = infer_permute,
    .forward = permute_forward,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { permute_backward<decltype(t)>(c); }>,
    .cases = {{{values({2, 3, 4, 5})}, Attrs{{"order", Order{0, 3, 1, 2}}}},
              {{values({2, 3, 4, 5})}, Attrs{{"order", Order{0, 2, 3, 1}}}},
              {{values({1, 7, 3})}, Attrs{{"order", Order{2, 0, 1}}}},
              {{values({5})}, Attrs{{"order", Order{0}}}},
              {{values({0, 3, 2})}, Attrs{{"order", Order{1, 0, 2}}}},
              {{values({2, 1, 3, 2, 2})}, Attrs{{"order", Order{4, 2, 0, 3, 1}}}},
              {{{{2, 3, 4}, -9, 9, DType::i64}}, Attrs{{"order", Order{0, 2, 1}}}, false},
              {{{{3, 2, 2}, -9, 9, DType::i32}}, Attrs{{"order", Order{2, 0, 1}}}, false},
              {{{{2, 5, 3}, 0, 256, DType::u8}}, Attrs{{"order", Order{0, 2, 1}}}, false},
              {{{{4, 3}, 0, 2, DType::boolean}}, Attrs{{"order", Order{1, 0}}}, false},
              big_case({values({3, 33, 17, 19})}, Attrs{{"order", Order{0, 3, 1, 2}}}),
              big_case({values({2, 64, 8, 8})}, Attrs{{"order", Order{0, 2, 3, 1}}}),
              big_case({values({9, 5, 3, 24})}, Attrs{{"order", Order{2, 0, 1, 3}}})},
    .bench_cases = {big_case({values({64, 4, 4, 256})}, Attrs{{"order", Order{0, 3, 1, 2}}}),
                    big_case({values({256, 32, 32, 3})}, Attrs{{"order", Order{0, 3, 1, 2}}})},
});

std::vector<TensorSpec> infer_shuffle(const Tensors& in, const Attrs& attrs) {
  LIMBECK_CHECK(in[0].rank() >= 1, "channel_shuffle: 'x' needs a channel dimension, found ",
                describe(in[0]));
  check_floating("channel_shuffle", "x", in[0]);
  const int64_t groups = size_attribute("channel_shuffle", attrs, "groups", 1, 1);
  LIMBECK_CHECK(in[0].size(-1) % groups == 0, "channel_shuffle: attribute 'groups' = ", groups,
                " must divide the channels of 'x' ", describe(in[0]));
  return {{in[0].shape(), in[0].dtype()}};
}

template <class T>
void shuffle_rows(const Tensor& x, const Tensor& y, int64_t groups) {
  const int64_t channels = x.size(-1), per_group = channels / groups;
  const T* from = x.data<T>();
  T* to = y.data<T>();
  for (int64_t r = 0, rows = x.shape().numel(0, x.rank() - 1); r < rows;
       ++r, from += channels, to += channels)
    for (int64_t i = 0; i < per_group; ++i)
      for (int64_t j = 0; j < groups; ++j) to[i * groups + j] = from[j * per_group + i];
}

const RegisterOp shuffle_op({
    .name = "channel_shuffle",
    .formula = "y[.., i*g + j] = x[.., j*(C/g) + i]\ndx = channel_shuffle(dy, C/g)",
    .source = "Zhang et al., ShuffleNet, CVPR 2018, section 3.1",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .infer = infer_shuffle,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) {
                          shuffle_rows<decltype(t)>(c.in[0], c.out[0],
                                                    c.attrs.integer("groups", 1));
                        }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) {
                           const int64_t channels = c.dout[0].size(-1);
                           shuffle_rows<decltype(t)>(
                               c.dout[0], c.din[0],
                               channels == 0 ? 1 : channels / c.attrs.integer("groups", 1));
                         }>,
    .cases = {{{values({2, 3, 2, 6})}, Attrs{{"groups", int64_t{2}}}},
              {{values({2, 6})}, Attrs{{"groups", int64_t{3}}}},
              {{values({1, 1, 1, 5})}, Attrs{{"groups", int64_t{1}}}},
              {{values({3, 4})}, Attrs{{"groups", int64_t{4}}}},
              {{values({0, 2, 2, 6})}, Attrs{{"groups", int64_t{3}}}},
              {{values({2, 3, 24})}, Attrs{{"groups", int64_t{4}}}},
              big_case({values({3, 9, 7, 240})}, Attrs{{"groups", int64_t{3}}}),
              big_case({values({3, 5, 7, 116})}, Attrs{{"groups", int64_t{2}}}),
              big_case({values({3, 5, 7, 116})}, Attrs{{"groups", int64_t{58}}})},
    .images = true,
});

}  // namespace
}  // namespace limbeck::permute_op
