// scatter_rows by hand, what it refuses, and beside the tape.
#include <gtest/gtest.h>

#include "autograd/functions.h"

namespace limbeck {
namespace {

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

Tensor rows_of(const std::vector<int64_t>& index) { return Tensor::of<int64_t>(index); }

TEST(ScatterRows, TheLastValueOfARowStays) {
  for (const DType type : {DType::f32, DType::f64}) {
    const Tensor memory = Tensor::zeros({3, 2}, type);
    const Tensor values = Tensor::of<float>({1, 2, 3, 4, 5, 6, 7, 8}).reshape({4, 2}).to(type);
    const uint64_t version = memory.version();
    scatter_rows(memory, rows_of({2, 0, 2, 0}), values);
    EXPECT_EQ(memory.to(DType::f32).to_vector<float>(), (std::vector<float>{7, 8, 0, 0, 5, 6}));
    EXPECT_GT(memory.version(), version);
  }
}

TEST(ScatterRows, NoRowsChangeNothing) {
  const Tensor memory = Tensor::full({3, 2}, 4);
  scatter_rows(memory, rows_of({}), Tensor::zeros({0, 2}));
  EXPECT_EQ(memory.to_vector<float>(), std::vector<float>(6, 4));
}

TEST(ScatterRows, RefusesWhatDoesNotFitAndWritesNothing) {
  const Tensor memory = Tensor::zeros({3, 2}), values = Tensor::full({2, 2}, 1);
  for (const int64_t outside : {int64_t{3}, int64_t{-1}})
    EXPECT_EQ(message([&] {
                scatter_rows(memory, rows_of({1, outside}), values);
              }),
              cat("scatter_rows: index[1] = ", outside, " is outside [0, 3)"));
  EXPECT_EQ(memory.to_vector<float>(), std::vector<float>(6, 0));
  EXPECT_EQ(message([&] { scatter_rows(memory, rows_of({1}), values); }),
            "scatter_rows: 'values' must be f32[1, 2], found f32[2, 2] on cpu");
  EXPECT_EQ(message([&] {
              scatter_rows(memory, rows_of({1, 2}), values.to(DType::f64));
            }),
            "scatter_rows: 'values' must be f32[2, 2], found f64[2, 2] on cpu");
  EXPECT_EQ(message([&] { scatter_rows(memory, Tensor::zeros({2}), values); }),
            "scatter_rows: expected 'index' i64[n], found f32[2] on cpu");
  EXPECT_EQ(message([&] {
              scatter_rows(memory, rows_of({1, 2}), memory.rows(0, 2));
            }),
            "scatter_rows: 'values' must not share the storage of 'memory'");
}

TEST(ScatterRows, LeavesNoTraceOnTheTape) {
  const Variable memory(Tensor::zeros({3, 2}), true), values(Tensor::full({1, 2}, 1), true);
  EXPECT_TRUE(apply(find_op("scatter_rows"), {memory, Variable(rows_of({1})), values}).empty());
  const Variable loss = sum(square(memory));
  scatter_rows(memory.data(), rows_of({2}), values.data());
  EXPECT_NE(message([&] { loss.backward(); }).find("in place"), std::string::npos);
}

}  // namespace
}  // namespace limbeck
