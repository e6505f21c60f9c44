#include <gtest/gtest.h>

#include "autograd/functions.h"
#include "autograd/gradcheck.h"

namespace limbeck {
namespace {

Variable leaf(std::vector<double> v) { return Variable(Tensor::of(v), true); }

TEST(Tape, SharedVariableGetsTheSumOfBothPaths) {
  const Variable x = leaf({2, 3});
  sum(x * x + x).backward();
  EXPECT_EQ(x.grad().to_vector<double>(), (std::vector<double>{5, 7}));
}

TEST(Tape, GradientsAccumulateOverBackwards) {
  const Variable x = leaf({1});
  sum(x * 3.0).backward();
  sum(x * 4.0).backward();
  EXPECT_EQ(x.grad().item(), 7);
}

TEST(Tape, LeavesOwnTheirGradients) {  // a sum hands its cotangent on without a copy
  const Variable a(Tensor::of<float>({1, 2}), true), b(Tensor::of<float>({3, 4}), true);
  const Tensor cotangent = Tensor::of<float>({5, 6});
  ((a + b) + 1.0).backward(cotangent);
  a.grad().fill(0);
  EXPECT_EQ(b.grad().to_vector<float>(), (std::vector<float>{5, 6}));
  EXPECT_EQ(cotangent.to_vector<float>(), (std::vector<float>{5, 6}));
}

TEST(Tape, SumsPassGradientsThroughToInnerVariables) {
  const Variable x(Tensor::of<float>({1, 2}), true), row(Tensor::of<float>({1}), true);
  const Variable inner = x * 2.0;
  ((inner + inner * 3.0) + row)
      .backward(Tensor::of<float>({1, 10}));  // row is repeated: its gradient is summed
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{8, 80}));
  EXPECT_EQ(row.grad().to_vector<float>(), (std::vector<float>{11}));
}

TEST(Tape, SecondBackwardIsRefused) {
  const Variable x = leaf({1});
  const Variable y = sum(x * x);
  y.backward();
  EXPECT_THROW(y.backward(), Error);
}

TEST(Tape, InPlaceChangeOfASavedTensorIsRefused) {
  const Variable x = leaf({1, 2});
  const Variable y = sum(x * x);
  x.data().fill(5);
  try {
    y.backward();
    FAIL() << "the change went unnoticed";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("changed in place"), std::string::npos);
  }
}

TEST(Tape, NoGradRecordsNothing) {
  const Variable x = leaf({1});
  const NoGrad guard;
  EXPECT_FALSE((x * x).requires_grad());
}

TEST(Tape, FrozenInputsGetNoGradient) {
  const Variable x = leaf({2}), w = leaf({3});
  w.set_requires_grad(false);
  sum(x * w).backward();
  EXPECT_EQ(x.grad().item(), 3);
  EXPECT_FALSE(w.grad().defined());
}

TEST(Tape, RetainGradAndGradientsOfInnerVariables) {
  const Variable x = leaf({2});
  const Variable y = x * x;
  y.retain_grad();
  sum(y * y).backward();
  EXPECT_EQ(y.grad().item(), 8);
  const Variable z = x * x;
  const Tensors g = gradients({sum(z * 5.0)}, {Tensor::full({}, 1, DType::f64)}, {z, x});
  EXPECT_EQ(g[0].item(), 5);
  EXPECT_EQ(g[1].item(), 20);
  EXPECT_EQ(x.grad().item(), 32) << "gradients() must not touch .grad";
}

TEST(Tape, BackwardFreesActivations) {
  const Variable x(Tensor::zeros({1 << 18}), true);
  Variable y = x;
  for (int i = 0; i < 8; ++i) y = square(y);
  Variable loss = sum(y);
  y = {};
  const size_t before = allocator(cpu).stats().in_use;
  loss.backward();
  EXPECT_LE(allocator(cpu).stats().in_use + 6 * (1 << 20), before);
}

TEST(Tape, LongChainsAreFreedWithoutRecursion) {
  const Variable x = leaf({1});
  Variable y = x;
  for (int i = 0; i < 200000; ++i) y = y + 1.0;
  EXPECT_EQ(y.item(), 200001);
}

TEST(Gradcheck, AcceptsARightAndRejectsAWrongGradient) {
  const Variable x = leaf({0.3, -0.7, 1.1});
  EXPECT_TRUE(gradcheck([](const Variables& v) { return mul(exp(v[0]), v[0]); }, {x}).ok);
  const auto wrong = [](const Variables& v) {
    const Variable in = v[0];
    Tensor y = in.data().clone();
    for (double& e : y.span<double>()) e = e * e;
    return record("wrong_square", {in}, y, [in](const Tensor& dout) {
      Tensor g = dout.clone();
      for (int64_t i = 0; i < g.numel(); ++i)
        g.data<double>()[i] *= in.data().at(i);  // the factor 2 is missing
      return Tensors{g};
    });
  };
  const auto report = gradcheck(wrong, {x});
  EXPECT_FALSE(report.ok);
  EXPECT_NE(report.message.find("input 0 element"), std::string::npos);
}

}  // namespace
}  // namespace limbeck
