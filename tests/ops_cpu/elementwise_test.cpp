// Vector exp, log, tanh and their relatives against the standard library over the whole range of
// floats, optimiser steps by hand, dropout.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "ops/op.h"
#include "ops_cpu/isa.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

std::vector<Isa> available() {
  std::vector<Isa> list;
  for (const Isa isa : {Isa::base, Isa::avx2, Isa::avx512})
    if (isa <= best_isa()) list.push_back(isa);
  return list;
}

struct Function {
  const char* op;
  std::function<double(double)> exact;
  bool positive;  // domain x > 0
  double
      relative;  // tolerated, beside 3e-37 absolute: silu ends where e^-x overflows, at 89 / 3.4e38
};

// A generator's white must be 1, not 0.99999976.
TEST(VectorMath, TanhIsRoundedWhereItNearlyIsOne) {
  std::vector<float> numbers;
  for (int i = 0; i <= 4000; ++i) numbers.push_back(7.9125f + 0.0005f * static_cast<float>(i));
  numbers.insert(numbers.end(), {20.0f, 1e10f, INFINITY});
  const size_t half = numbers.size();
  for (size_t i = 0; i < half; ++i) numbers.push_back(-numbers[i]);
  for (const Isa isa : available()) {
    const ExecutionScope use(with(&Execution::isa, isa));
    const Tensor y = run_forward(find_op("tanh"), {Tensor::of<float>(numbers)}, {})[0];
    for (size_t i = 0; i < numbers.size(); ++i) {
      const auto rounded = static_cast<float>(std::tanh(double(numbers[i])));
      EXPECT_EQ(y.data<float>()[i], rounded) << "tanh " << numbers[i];
    }
  }
}

TEST(VectorMath, AgreesWithTheStandardLibraryEverywhere) {
  const std::vector<Function> functions = {
      {"exp", [](double x) { return std::exp(x); }, false, 3e-7},
      {"log", [](double x) { return std::log(x); }, true, 3e-7},
      {"tanh", [](double x) { return std::tanh(x); }, false, 6e-7},
      {"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, false, 6e-7},
      {"softplus", [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); },
       false, 1e-6},
      {"silu", [](double x) { return x / (1 + std::exp(-x)); }, false, 6e-7},
      // e^-u in its negative tail: a rounding error of u, up to 88, is one of the result
      {"gelu_tanh",
       [](double x) {
         return x / (1 + std::exp(-1.5957691216057308 * (x + 0.044715 * x * x * x)));
       },
       false, 5e-5},
  };
  std::vector<float> numbers = {0.0f, 1.0f, 88.7f, 1e-30f, 1e30f, 1e-38f, 1e-40f, 1e-45f, INFINITY};
  Stream stream(1);
  for (int i = 0; i < 2000; ++i)
    numbers.push_back(static_cast<float>(std::exp(stream.uniform(-40, 40))));
  for (int i = 0; i < 2000; ++i) numbers.push_back(static_cast<float>(stream.uniform(0, 100)));
  const size_t positive = numbers.size();
  for (size_t i = 0; i < positive; ++i) numbers.push_back(-numbers[i]);
  for (const Isa isa : available()) {
    const ExecutionScope use(with(&Execution::isa, isa));
    for (const Function& f : functions) {
      const Tensor y = run_forward(find_op(f.op), {Tensor::of<float>(numbers)}, {})[0];
      for (size_t i = 0; i < (f.positive ? positive : numbers.size()); ++i) {
        const double found = y.at(int64_t(i)), exact = f.exact(numbers[i]);
        if (std::isnan(exact) || std::isinf(static_cast<float>(exact))) {
          EXPECT_TRUE(found == static_cast<float>(exact) ||
                      (std::isnan(found) && std::isnan(exact)))
              << f.op << "(" << numbers[i] << ") = " << found << " on " << name_of(isa);
          continue;
        }
        EXPECT_LE(std::abs(found - exact), f.relative * std::abs(exact) + 3e-37)
            << f.op << "(" << numbers[i] << ") on " << name_of(isa);
      }
    }
  }
}

TEST(VectorMath, NanStaysNan) {
  const Tensor x = Tensor::of<float>(std::vector<float>(19, NAN));
  for (const Isa isa : available()) {
    const ExecutionScope use(with(&Execution::isa, isa));
    for (const char* op : {"relu", "leaky_relu", "sigmoid", "tanh", "silu", "softplus", "gelu_tanh",
                           "exp", "log", "sqrt", "square", "abs", "clamp", "affine"}) {
      const Tensor y = run_forward(find_op(op), {x}, {})[0];
      for (int64_t i = 0; i < y.numel(); ++i)
        EXPECT_TRUE(std::isnan(y.at(i))) << op << " on " << name_of(isa);
    }
    for (const char* op : {"maximum", "minimum"})
      for (const bool first : {false, true}) {
        const Tensor one = Tensor::full({19}, 1);
        EXPECT_TRUE(
            std::isnan(run_forward(find_op(op), {first ? x : one, first ? one : x}, {})[0].at(3)))
            << op;
      }
  }
}

TEST(OptimizerSteps, SgdByHand) {
  const Tensor w = Tensor::of<float>({1}), g = Tensor::of<float>({0.5f}),
               v = Tensor::of<float>({NAN}), lr = Tensor::of<float>({0.5f});
  const auto step = [&](bool first, bool nesterov) {
    const uint64_t version = w.version();
    run_forward(
        find_op("sgd_step"), {w, g, v, lr},
        {{"momentum", 0.5}, {"weight_decay", 0.25}, {"first", first}, {"nesterov", nesterov}});
    EXPECT_GT(w.version(), version);
  };
  step(true, false);  // g = 0.75; v = 0.75 whatever v held; w = 1 - 0.375
  EXPECT_FLOAT_EQ(float(w.item()), 0.625f);
  EXPECT_FLOAT_EQ(float(v.item()), 0.75f);
  step(false, true);  // g = 0.65625; v = 1.03125; w -= 0.5 (g + 0.5 v)
  EXPECT_FLOAT_EQ(float(v.item()), 1.03125f);
  EXPECT_FLOAT_EQ(float(w.item()), 0.625f - 0.5f * (0.65625f + 0.515625f));
}

TEST(OptimizerSteps, AdamsFirstStepHasTheSizeOfTheLearningRate) {
  const Tensor w = Tensor::of<float>({1, 1}), g = Tensor::of<float>({0.01f, -300}),
               m = Tensor::zeros({2}), v = Tensor::zeros({2});
  run_forward(find_op("adam_step"), {w, g, m, v, Tensor::of<float>({0.125f, 1})}, {});
  EXPECT_NEAR(w.at(0), 0.875, 1e-5);
  EXPECT_NEAR(w.at(1), 1.125, 1e-5);
}

TEST(Dropout, KeepsTheRightShareAndScalesIt) {
  const Tensor y =
      run_forward(find_op("dropout"), {Tensor::full({100003}, 3), Tensor::of<int64_t>({5, 9})},
                  {{"p", 0.25}})[0];
  int64_t kept = 0;
  for (const float value : y.span<float>()) {
    EXPECT_TRUE(value == 0 || value == 4);
    kept += value != 0;
  }
  EXPECT_NEAR(double(kept) / 100003, 0.75, 0.006);
}

}  // namespace
}  // namespace limbeck
