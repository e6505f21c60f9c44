#include "autograd/autocast.h"

#include <gtest/gtest.h>

#include "autograd/functions.h"

namespace limbeck {
namespace {

Variable uniform(const Shape& shape, uint64_t seed, bool requires_grad = true) {
  const Tensor t = Tensor::empty(shape);
  Stream(seed).fill_uniform(t, -1, 1);
  return {t, requires_grad};
}

std::vector<float> rounded(const Tensor& t) {
  return t.to(DType::bf16).to(DType::f32).to_vector<float>();
}

TEST(Autocast, CastRoundsAndItsGradientHasTheInputsType) {
  const Variable x = uniform({3, 5}, 1);
  const Variable y = cast(x, DType::bf16);
  EXPECT_EQ(y.dtype(), DType::bf16);
  EXPECT_EQ(y.data().to(DType::f32).to_vector<float>(), rounded(x.data()));
  const Variable cotangent = uniform({3, 5}, 2, false);
  y.backward(cotangent.data().to(DType::bf16));
  EXPECT_EQ(x.grad().dtype(), DType::f32);
  EXPECT_EQ(x.grad().to_vector<float>(), rounded(cotangent.data()));
}

TEST(Autocast, ToTheSameTypeIsTheSameVariable) {
  const Variable x = uniform({2}, 1);
  EXPECT_EQ(cast(x, DType::f32).impl(), x.impl());
  EXPECT_EQ(as_activation(x).impl(), x.impl()) << "activations are f32 by default";
}

TEST(Autocast, ActivationsOfOtherTypesAreRefused) {
  EXPECT_THROW(set_execution(with(&Execution::activations, DType::f64)), Error);
  EXPECT_EQ(execution().activations, DType::f32);
  EXPECT_THROW(cast(uniform({2}, 1), DType::i64), Error);
}

// The CPU has no bf16 kernels: whatever reads bf16 there gets f32, with the gradient on its way
// back.
TEST(Autocast, OperatorsWithoutKernelGetF32) {
  const Variable x = uniform({4, 3}, 1), half = cast(x, DType::bf16);
  const Variable y = square(half) + x;
  EXPECT_EQ(y.dtype(), DType::f32);
  sum(y).backward();
  const std::vector<float> r = rounded(x.data()), g = x.grad().to_vector<float>();
  for (size_t i = 0; i < r.size(); ++i)
    EXPECT_EQ(g[i], static_cast<float>(bfloat16(2 * r[i])) + 1) << i;
}

TEST(Autocast, TwoUsesOfOneBf16VariableAddTheirGradients) {
  const Variable x = uniform({6}, 3), half = cast(x, DType::bf16);
  sum(half * 2.0 + half * 0.5).backward();
  for (const float g : x.grad().to_vector<float>()) EXPECT_EQ(g, 2.5f);
}

TEST(Autocast, ConvolutionsTakeActivationsAndKeepF32Weights) {
  const Variable x = uniform({2, 5, 5, 3}, 1), w = uniform({4, 3, 3, 3}, 2);
  const Tensor expected = conv2d(cast(cast(x, DType::bf16), DType::f32), w).data();
  const ExecutionScope bf16(with(&Execution::activations, DType::bf16));
  const Variable y = conv2d(x, w);
  EXPECT_EQ(y.data().to_vector<float>(), expected.to_vector<float>());
  sum(y).backward();
  EXPECT_EQ(w.grad().dtype(), DType::f32);
  EXPECT_EQ(x.grad().dtype(), DType::f32);
  const Variable in_f64(x.data().to(DType::f64));
  EXPECT_EQ(conv2d(in_f64, Variable(w.data().to(DType::f64))).dtype(), DType::f64)
      << "f64 is left alone";
}

}  // namespace
}  // namespace limbeck
