// index_select and embedding: rows chosen by i64 indices. Contract and reference.
//   y[j] = x[index[j]];         dx[i] = sum of dy[j] over the j with index[j] = i
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "ops/cases.h"
#include "ops/checks.h"
#include "ops/op.h"

namespace limbeck::indexing_op {
namespace {

void check_index(const char* op, const Tensor& index) {
  LIMBECK_CHECK(index.dtype() == DType::i64, op, ": 'index' must be i64, found ", describe(index));
}

/// Indices are data, so their range is checked where they are read.
int64_t checked(const char* op, int64_t index, int64_t position, int64_t size) {
  LIMBECK_CHECK(index >= 0 && index < size, op, ": index[", position, "] = ", index,
                " is outside [0, ", size, ")");
  return index;
}

void select_rows(const char* op, const ForwardCall& c) {
  const Tensor &x = c.in[0], &index = c.in[1];
  const int64_t row = x.shape().numel(1, x.rank());
  const int64_t* at = index.data<int64_t>();
  dispatch_all(x.dtype(), op, [&](auto t) {
    using T = decltype(t);
    const T* from = x.data<T>();
    T* y = c.out[0].data<T>();
    for (int64_t j = 0; j < index.numel(); ++j)
      std::copy_n(from + checked(op, at[j], j, x.size(0)) * row, row, y + j * row);
  });
}

template <class T>
void add_rows(const BackwardCall& c) {
  const Tensor& index = c.in[1];
  const int64_t row = c.din[0].shape().numel(1, c.din[0].rank());
  const int64_t* at = index.data<int64_t>();
  const T* dy = c.dout[0].data<T>();
  T* dx = c.din[0].data<T>();
  std::fill_n(dx, c.din[0].numel(), T(0));
  // A row that is chosen very often has many sums of `longest` rows each.
  constexpr int64_t longest = 1024;
  std::vector<int64_t> added(static_cast<size_t>(c.din[0].size(0)), 0);
  std::map<int64_t, std::vector<double>> whole;  // by row
  for (int64_t j = 0; j < index.numel(); ++j) {
    T* to = dx + at[j] * row;
    if (++added[static_cast<size_t>(at[j])] % longest == 0) {
      std::vector<double>& sum = whole[at[j]];
      sum.resize(static_cast<size_t>(row));
      for (int64_t i = 0; i < row; ++i) sum[static_cast<size_t>(i)] += std::exchange(to[i], T(0));
    }
    for (int64_t i = 0; i < row; ++i) to[i] += dy[j * row + i];
  }
  for (const auto& [r, sum] : whole)
    for (int64_t i = 0; i < row; ++i)
      dx[r * row + i] = static_cast<T>(dx[r * row + i] + sum[static_cast<size_t>(i)]);
}

std::vector<TensorSpec> infer_index_select(const Tensors& in, const Attrs&) {
  check_index("index_select", in[1]);
  LIMBECK_CHECK(in[0].rank() >= 1 && in[1].rank() == 1,
                "index_select: expected 'x' [n, ..] and 'index' [m], found ", describe(in[0]),
                " and ", describe(in[1]));
  Shape shape = in[0].shape();
  shape.set(0, in[1].size(0));
  return {{shape, in[0].dtype()}};
}

const RegisterOp index_select_op({
    .name = "index_select",
    .formula = "y[j] = x[index[j]]\ndx[i] = sum of dy[j] over index[j] = i",
    .source = "elementary",
    .inputs = {{"x"}, {"index", false}},
    .outputs = {{"y"}},
    .saved_inputs = {1},
    .infer = infer_index_select,
    .forward = [](const ForwardCall& c) { select_rows("index_select", c); },
    .backward =
        floating<BackwardCall, [](auto t, const BackwardCall& c) { add_rows<decltype(t)>(c); }>,
    .cases = {{{values({5, 3}), indices({4}, 5)}},
              {{values({3, 2, 2, 2}), indices({7}, 3)}},
              {{values({4}), indices({6}, 4)}},
              {{values({2, 3}), indices({0}, 2)}},
              big_case({values({50, 33}), indices({301}, 50)}),
              {.inputs = {values({1, 2}), indices({70000}, 1)}, .grad = false, .cotangent = 0.1},
              big_case({values({20, 3, 8}), indices({33}, 20)})},
});

std::vector<TensorSpec> infer_embedding(const Tensors& in, const Attrs&) {
  check_index("embedding", in[1]);
  check_floating("embedding", "weight", in[0]);
  LIMBECK_CHECK(in[0].rank() == 2, "embedding: expected 'weight' [n, d], found ", describe(in[0]));
  return {{in[1].shape().appended(in[0].size(1)), in[0].dtype()}};
}

const RegisterOp embedding_op({
    .name = "embedding",
    .formula = "y[.., :] = weight[index[..], :]\ndweight[i] = sum of dy[j] over index[j] = i",
    .source = "elementary",
    .inputs = {{"weight"}, {"index", false}},
    .outputs = {{"y"}},
    .saved_inputs = {1},
    .infer = infer_embedding,
    .forward = [](const ForwardCall& c) { select_rows("embedding", c); },
    .backward =
        floating<BackwardCall, [](auto t, const BackwardCall& c) { add_rows<decltype(t)>(c); }>,
    .cases = {{{values({5, 3}), indices({4}, 5)}},
              {{values({3, 7}), indices({2, 3}, 3)}},
              {{values({3, 4}), indices({}, 3)}},
              {{values({3, 4}), indices({0}, 3)}},
              big_case({values({100, 64}), indices({129}, 100)})},
});

}  // namespace
}  // namespace limbeck::indexing_op
