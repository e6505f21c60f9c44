// Arithmetic on integers: what PyTorch gives, at the ends of the range too; and what is refused.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/ops/calls.h"

namespace limbeck {
namespace {

constexpr int64_t least = std::numeric_limits<int64_t>::min(),
                  most = std::numeric_limits<int64_t>::max();

std::vector<int64_t> whole(std::string_view name, const std::vector<int64_t>& a,
                           const std::vector<int64_t>& b) {
  const Shape shape{static_cast<int64_t>(a.size())};
  return run(name, {Tensor::of(a, shape), Tensor::of(b, shape)}).to_vector<int64_t>();
}

using Values = std::vector<int64_t>;

TEST(Integers, SumsDifferencesAndProductsWrap) {
  EXPECT_EQ(whole("add", {most, 2, -1}, {1, 3, least}), (Values{least, 5, most}));
  EXPECT_EQ(whole("sub", {least, 2}, {1, 3}), (Values{most, -1}));
  EXPECT_EQ(whole("mul", {most, least, 3037000500}, {2, -1, 3037000500}),
            (Values{-2, least, -9223372036709301616}));
  const Tensor a = Tensor::of<int32_t>({2147483647, -2147483647 - 1}, {2}),
               b = Tensor::of<int32_t>({1, 2}, {2});
  EXPECT_EQ(run("add", {a, b}).to_vector<int32_t>(),
            (std::vector<int32_t>{-2147483647 - 1, -2147483647 + 1}));
  EXPECT_EQ(run("mul", {a, b}).dtype(), DType::i32);
}

TEST(Integers, BeyondWhatADoubleHolds) {
  const int64_t large = (int64_t{1} << 53) + 1;
  EXPECT_EQ(whole("add", {large}, {2}), (Values{large + 2}));
  EXPECT_EQ(whole("maximum", {large}, {large - 1}), (Values{large}));
  const Tensor x = Tensor::of<int64_t>({large, 1, 1}, {3});
  EXPECT_EQ(run("sum", {x}).to_vector<int64_t>(), (Values{large + 2}));
  EXPECT_EQ(run("max", {x}).to_vector<int64_t>(), (Values{large}));
}

// As in Python: the quotient is rounded down, what is left has the divisor's sign.
TEST(Integers, DivisionRoundsDown) {
  EXPECT_EQ(whole("floor_divide", {7, -7, 7, -7, 6, -6, 0, least, least},
                  {3, 3, -3, -3, 3, 3, -5, -1, 2}),
            (Values{2, -3, -3, 2, 2, -2, 0, least, least / 2}));
  EXPECT_EQ(
      whole("remainder", {7, -7, 7, -7, 6, -6, 0, least, least}, {3, 3, -3, -3, 3, 3, -5, -1, 3}),
      (Values{1, 2, -2, -1, 0, 0, 0, 0, 1}));
}

TEST(Integers, FloatsAreDividedTheSameWay) {
  const Tensor a = Tensor::of<float>({7, -7, 7, -7, 0.3f, -1, 1}, {7}),
               b = Tensor::of<float>({3, 3, -3, -3, 0.1f, 0, 0}, {7});
  const std::vector<float> quotient = run("floor_divide", {a, b}).to_vector<float>(),
                           rest = run("remainder", {a, b}).to_vector<float>();
  // 0.3f is more than three of 0.1f, in f32 as in real numbers.
  EXPECT_EQ(quotient, (std::vector<float>{2, -3, -3, 2, 3, -HUGE_VALF, HUGE_VALF}));
  EXPECT_EQ((std::vector<float>(rest.begin(), rest.begin() + 4)),
            (std::vector<float>{1, 2, -2, -1}));
  EXPECT_TRUE(std::isnan(rest[5]));
}

TEST(Integers, ADivisionByZeroIsRefused) {
  const Tensor a = Tensor::of<int64_t>({1, 2, 3}, {3}), b = Tensor::of<int64_t>({1, 0, 2}, {3});
  EXPECT_EQ(refusal("floor_divide", {a, b}),
            "floor_divide: 'b' is 0 at element 1, and integers have no infinity");
  EXPECT_EQ(refusal("remainder", {a, b}),
            "remainder: 'b' is 0 at element 1, and integers have no infinity");
}

TEST(Integers, ASumIsOf64Bits) {
  const Tensor x = Tensor::of<int32_t>({2147483647, 2147483647, -1, 3}, {2, 2});
  const Tensor y = run("sum", {x}, {{"axes", std::vector<int64_t>{1}}});
  EXPECT_EQ(y.dtype(), DType::i64);
  EXPECT_EQ(y.to_vector<int64_t>(), (Values{4294967294, 2}));
  EXPECT_EQ(run("min", {x}).dtype(), DType::i32);
  EXPECT_EQ(run("min", {x}).to_vector<int32_t>(), (std::vector<int32_t>{-1}));
  const Tensor none = Tensor::zeros({0, 2}, DType::i64);
  EXPECT_EQ(run("sum", {none}, {{"axes", std::vector<int64_t>{0}}}).to_vector<int64_t>(),
            (Values{0, 0}));
  EXPECT_EQ(refusal("max", {none}, {{"axes", std::vector<int64_t>{0}}}),
            "max: no element to choose from in 'x' i64[0, 2] on cpu");
}

TEST(Integers, OtherTypesAndMixturesAreRefused) {
  const Tensor i = Tensor::zeros({2}, DType::i64), j = Tensor::zeros({2}, DType::i32),
               u = Tensor::zeros({2}, DType::u8);
  EXPECT_EQ(refusal("add", {i, j}), "add: 'b' must be i64 like the others, found i32[2] on cpu");
  EXPECT_EQ(refusal("add", {u, u}),
            "add: 'a' must be of a floating type, i32 or i64, found u8[2] on cpu");
  EXPECT_EQ(refusal("div", {i, i}), "div: 'a' must be of a floating type, found i64[2] on cpu");
  EXPECT_EQ(refusal("mean", {i}), "mean: 'x' must be of a floating type, found i64[2] on cpu");
}

}  // namespace
}  // namespace limbeck
