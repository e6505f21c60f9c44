// Rows by index and joined rows, of every type.
#include "tensor/rows.h"

#include <gtest/gtest.h>

#include <cstring>

namespace limbeck {
namespace {

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

/// [rows, 2, 3] whose bytes all differ from row to row.
Tensor counted(int64_t rows, DType dtype, int first) {
  const Tensor t = Tensor::empty({rows, 2, 3}, dtype);
  const int64_t bytes = rows > 0 ? t.bytes() / rows : 0;
  for (int64_t r = 0; r < rows; ++r)
    std::memset(static_cast<char*>(t.raw()) + r * bytes, first + static_cast<int>(r),
                static_cast<size_t>(bytes));
  return t;
}

void expect_rows(const Tensor& t, DType dtype, const std::vector<int>& values) {
  ASSERT_EQ(t.shape(), (Shape{static_cast<int64_t>(values.size()), 2, 3}));
  ASSERT_EQ(t.dtype(), dtype);
  for (size_t r = 0; r < values.size(); ++r) {
    const Tensor row = t.rows(static_cast<int64_t>(r), static_cast<int64_t>(r) + 1);
    for (int64_t b = 0; b < row.bytes(); ++b)
      ASSERT_EQ(static_cast<const char*>(row.raw())[b], values[r])
          << "row " << r << " of " << dtype;
  }
}

constexpr DType types[] = {DType::f32, DType::f64,     DType::i64, DType::i32,
                           DType::u8,  DType::boolean, DType::bf16};

TEST(Rows, TakenByIndexOfEveryType) {
  for (const DType dtype : types) {
    expect_rows(take_rows(counted(5, dtype, 1), {4, 0, 4, 2}), dtype, {5, 1, 5, 3});
    expect_rows(take_rows(counted(5, dtype, 1).rows(2, 5), {1}), dtype, {4});
    expect_rows(take_rows(counted(5, dtype, 1), {}), dtype, {});
    expect_rows(take_rows(counted(0, dtype, 1), {}), dtype, {});
  }
  EXPECT_FALSE(take_rows({}, {3}).defined());
  EXPECT_EQ(error_of([] {
              take_rows(Tensor::zeros({3}), {2, 3});
            }),
            "take_rows: row 3 asked from 3 rows");
  EXPECT_EQ(error_of([] { take_rows(Tensor::zeros({3}), {-1}); }),
            "take_rows: row -1 asked from 3 rows");
}

TEST(Rows, JoinedOfEveryType) {
  for (const DType dtype : types) {
    const Tensor a = counted(2, dtype, 1), empty = counted(0, dtype, 1), b = counted(3, dtype, 7);
    expect_rows(join_rows({a, empty, b}), dtype, {1, 2, 7, 8, 9});
    const Tensor one = join_rows({a});
    expect_rows(one, dtype, {1, 2});
    EXPECT_FALSE(one.shares_storage_with(a));
  }
  EXPECT_FALSE(join_rows({Tensor(), Tensor()}).defined());
  EXPECT_EQ(error_of([] { join_rows({}); }), "join_rows: no parts");
  for (const Tensor& other :
       {Tensor::zeros({2, 4}), Tensor::zeros({2, 3}, DType::f64), Tensor::zeros({6})})
    EXPECT_NE(error_of([&] {
                join_rows({Tensor::zeros({1, 3}), other});
              }).find("parts of different kinds"),
              std::string::npos)
        << describe(other);
  EXPECT_NE(error_of([&] {
              join_rows({Tensor::zeros({1, 3}), Tensor()});
            }).find("expected parts with rows"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              join_rows({Tensor(), Tensor::zeros({1, 3})});
            }).find("expected parts with rows"),
            std::string::npos);
}

}  // namespace
}  // namespace limbeck
