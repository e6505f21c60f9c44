// Shapes that gather, scatter_add and matmul take, and what is said of those that they refuse.
#include <gtest/gtest.h>

#include "tests/ops/calls.h"

namespace limbeck {
namespace {

TEST(Gather, TheIndexFitsX) {
  const Tensor x = Tensor::zeros({2, 3}), index = Tensor::zeros({3, 1}, DType::i64);
  EXPECT_EQ(
      refusal("gather", {x, index}),
      "gather: 'index' must not be longer than 'x' in dimension 0, found [3, 1] for x [2, 3]");
  EXPECT_EQ(refusal("gather", {x, Tensor::zeros({1, 1, 1}, DType::i64)}),
            "gather: 'index' must have as many dimensions as 'x', or one less, found [1, 1, 1] for "
            "x [2, 3]");
  EXPECT_EQ(refusal("gather", {x, Tensor::of<int64_t>({0, 3}, {2, 1})}),
            "gather: index[1] = 3 is outside [0, 3)");
  EXPECT_EQ(refusal("scatter_add", {x, Tensor::zeros({2}, DType::i64), x}),
            "scatter_add: 'index' must have as many dimensions as 'x', found [2] for x [2, 3]");
  EXPECT_EQ(
      refusal("scatter_add", {x, Tensor::zeros({2, 4}, DType::i64), x}),
      "scatter_add: 'src' must be at least as large as 'index' [2, 4], found f32[2, 3] on cpu");
}

TEST(Matmul, VectorsAndBatchesThatDoNotFit) {
  const auto shape = [](const Shape& a, const Shape& b) {
    return run("matmul", {Tensor::zeros(a), Tensor::zeros(b)}).shape();
  };
  EXPECT_EQ(shape({3}, {3}), Shape{});
  EXPECT_EQ(shape({3}, {2, 3, 4}), (Shape{2, 4}));
  EXPECT_EQ(shape({2, 4, 3}, {3}), (Shape{2, 4}));
  EXPECT_EQ(shape({5, 1, 2, 3}, {4, 3, 6}), (Shape{5, 4, 2, 6}));
  const auto refused = [](const Shape& a, const Shape& b, const Attrs& attrs = {}) {
    return refusal("matmul", {Tensor::zeros(a), Tensor::zeros(b)}, attrs);
  };
  EXPECT_EQ(refused({2, 3, 4}, {3, 4, 5}),
            "matmul: the leading dimensions of a [2, 3, 4] and b [3, 4, 5]: shapes [2] and [3] do "
            "not broadcast");
  EXPECT_EQ(refused({3}, {3, 4}, {{"transpose_a", true}}),
            "matmul: a [3] has one dimension, which cannot be transposed");
  EXPECT_EQ(refused({}, {3}), "matmul: a must have at least one dimension, found []");
}

}  // namespace
}  // namespace limbeck
