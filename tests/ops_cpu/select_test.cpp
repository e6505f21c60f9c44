// where and the comparisons over several ranges of their loops, beside the reference.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "ops/execution.h"
#include "ops/op.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

constexpr int64_t n = 3 * 16384 + 5;

Tensor values(const char* name, const Shape& shape) {
  const Tensor t = Tensor::empty(shape, DType::i64);
  Stream(1).fork(name).fill_integers(t, -2, 3);  // so that equal ones occur
  return t.to(DType::f32);
}

std::vector<Tensors> by_both(const char* op, const Tensors& in) {
  std::vector<Tensors> results;
  for (const char* kernel : {"cpu", "reference"}) {
    const ExecutionScope only(with(&Execution::kernel, kernel));
    results.push_back(run_forward(find_op(op), in, {}));
  }
  return results;
}

template <class T>
void expect_equal(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.to_vector<T>(), b.to_vector<T>());
}

TEST(CpuSelect, ComparesLongTensorsAndOneElement) {
  const Tensor a = values("a", {n}), b = values("b", {n}), one = Tensor::scalar(1);
  a.span<float>()[7] = b.span<float>()[7] = NAN;
  for (const char* op : {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"})
    for (const Tensors& in : {Tensors{a, b}, Tensors{a, one}, Tensors{one, b}}) {
      const auto results = by_both(op, in);
      expect_equal<bool>(results[0][0], results[1][0]);
    }
}

/// b of the given shape.
void expect_same_gradients(const Tensor& condition, const Shape& shape, const Tensor& dy) {
  const std::vector<TensorSpec> specs{{{n}, DType::u8}, {{n}, DType::f32}, {shape, DType::f32}};
  std::vector<Tensors> gradients;
  for (const char* kernel : {"cpu", "reference"}) {
    const ExecutionScope only(with(&Execution::kernel, kernel));
    gradients.push_back(run_backward(find_op("where"), {condition, {}, {}}, {}, {dy}, specs,
                                     {false, true, true}, {}));
  }
  for (const size_t which : {1, 2}) expect_equal<float>(gradients[0][which], gradients[1][which]);
}

TEST(CpuSelect, ChoosesAndGivesTheGradientBack) {
  const Tensor a = values("a", {n}), b = values("b", {n}), one = Tensor::scalar(1);
  const Tensor condition = Tensor::empty({n}, DType::u8);
  for (int64_t i = 0; i < n; ++i) condition.span<uint8_t>()[i] = static_cast<uint8_t>(i % 3);
  a.span<float>()[1] = HUGE_VAL, b.span<float>()[0] = NAN;
  for (const Tensors& in :
       {Tensors{condition, a, b}, Tensors{condition, one, b}, Tensors{condition, a, one}}) {
    const auto results = by_both("where", in);
    EXPECT_EQ(results[0][0].numel(), n);
    EXPECT_EQ(std::memcmp(results[0][0].raw(), results[1][0].raw(), results[0][0].bytes()), 0);
  }
  expect_same_gradients(condition, {n}, values("dy", {n}));
  expect_same_gradients(condition, {}, values("dy", {n}));
}

}  // namespace
}  // namespace limbeck
