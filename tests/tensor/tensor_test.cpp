#include "tensor/tensor.h"

#include <gtest/gtest.h>

namespace limbeck {
namespace {

TEST(Tensor, ReshapeAndRowsShareStorage) {
  const Tensor t = Tensor::of<float>({0, 1, 2, 3, 4, 5}, {3, 2});
  const Tensor row = t.rows(1, 2), flat = t.reshape({-1});
  row.data<float>()[0] = 20;
  EXPECT_EQ(flat.at(2), 20);
  EXPECT_TRUE(row.shares_storage_with(t));
  EXPECT_FALSE(t.clone().shares_storage_with(t));
}

TEST(Tensor, ChannelsFirstAndBack) {
  const Tensor t = Tensor::of<int64_t>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {1, 2, 2, 3});
  const Tensor first = to_channels_first(t);
  EXPECT_EQ(first.shape(), (Shape{1, 3, 2, 2}));
  EXPECT_EQ(first.to_vector<int64_t>(),
            (std::vector<int64_t>{0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11}));
  EXPECT_EQ(to_channels_last(first).to_vector<int64_t>(), t.to_vector<int64_t>());
}

TEST(Tensor, WrongUseSaysWhatWasExpected) {
  const Tensor t = Tensor::zeros({2, 3});
  EXPECT_THROW(t.data<double>(), Error);
  EXPECT_THROW(t.reshape({4, 2}), Error);
  EXPECT_THROW(t.rows(1, 3), Error);
  try {
    t.item();
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "item() of f32[2, 3] on cpu; expected one element");
  }
}

TEST(Tensor, ConvertsTypes) {
  const Tensor t = Tensor::of<double>({1.5, -2.5});
  EXPECT_EQ(t.to(DType::i64).to_vector<int64_t>(), (std::vector<int64_t>{1, -2}));
  EXPECT_EQ(t.to(DType::f32).at(0), 1.5);
}

TEST(Allocator, SteadyStateAsksTheSystemForNothing) {
  auto step = [] { Tensor a = Tensor::empty({1000, 100}), b = Tensor::empty({10, 10}); };
  step();
  const size_t before = allocator(cpu).stats().system_calls;
  for (int i = 0; i < 10; ++i) step();
  EXPECT_EQ(allocator(cpu).stats().system_calls, before);
}

TEST(Shape, TheProductOfAnySizesStaysInRange) {
  const int64_t half = int64_t{1} << 31;
  EXPECT_EQ(Shape({Shape::max_numel}).numel(), Shape::max_numel);
  EXPECT_EQ(Shape({half, half / 8, 0}).numel(0, 2), half * (half / 8));
  EXPECT_THROW(Shape({Shape::max_numel + 1}), Error);
  EXPECT_THROW(Shape({half, half, 4}), Error);
  EXPECT_THROW(Shape({(int64_t{1} << 61) + 1, 3, 32, 32}), Error) << "3072 modulo 2^64";
  EXPECT_THROW(Shape({0, half, half, half}), Error) << "the sizes beside a zero are multiplied too";
  EXPECT_THROW(Shape({3, -1}), Error);
  Shape s{2, half, half / 16};
  EXPECT_THROW(s.set(0, half), Error);
  EXPECT_THROW(s.set(0, -1), Error);
  EXPECT_THROW(broadcast_shapes({1, half, 1, half}, {half, 1, 1, 1}, "test"), Error);
  EXPECT_THROW(Shape({half, half / 8}).appended(half), Error);
}

TEST(Shape, Broadcasting) {
  EXPECT_EQ(broadcast_shapes({4, 1, 3}, {2, 1}, "t"), (Shape{4, 2, 3}));
  EXPECT_EQ(broadcast_shapes({}, {2, 0}, "t"), (Shape{2, 0}));
  EXPECT_THROW(broadcast_shapes({2}, {3}, "t"), Error);
}

}  // namespace
}  // namespace limbeck
