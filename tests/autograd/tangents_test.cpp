// Tangents beside central differences, and gradients of what depends on input gradients beside
// central differences of it.
#include "autograd/tangents.h"

#include <gtest/gtest.h>

#include <cmath>

#include "nn/layers.h"
#include "nn/models/registry.h"
#include "tests/data/temporary.h"

namespace limbeck {
namespace {

Tensor noise(const Shape& shape, uint64_t seed) {
  Tensor t = Tensor::empty(shape, DType::f64);
  Stream(seed).fill_normal(t, 0, 1);
  return t;
}

/// A forward pass that was traced, on images with a gradient.
struct Pass {
  Variable x, output;
  std::vector<OperatorCall> calls;
  Pass(nn::Network& network, const Tensor& images) : x(images, true) {
    OperatorTrace trace;
    output = network(x);
    calls = trace.calls();
  }
};

/// Output gradients that depend on the output: 2 z, of sum z^2.
Tensor input_gradient(const Pass& pass) {
  return gradients_keeping_tape({pass.output}, {(pass.output * 2.0).data()}, {pass.x})[0];
}

std::unique_ptr<nn::Network> network_of(const std::string& name, bool train) {
  auto network = nn::create_model(name, {.outputs = 3, .channels = 3, .size = 16});
  network->initialise(Stream(1));
  network->to(DType::f64);
  network->train(train);
  return network;
}

double inner(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.numel(); ++i) sum += a.at(i) * b.at(i);
  return sum;
}

class TangentsOf : public testing::TestWithParam<std::tuple<std::string, bool>> {};

TEST_P(TangentsOf, AreDirectionalDerivatives) {
  const auto network = network_of(std::get<0>(GetParam()), std::get<1>(GetParam()));
  const Tensor images = noise({2, 16, 16, 3}, 2), v = noise({2, 16, 16, 3}, 3);
  const Pass pass(*network, images);
  const Variable tangent = Tangents(pass.calls, pass.x, Variable(v)).of(pass.output);
  ASSERT_TRUE(tangent.defined());
  const NoGrad no_grad;
  // Through few kinks.
  constexpr double h = 1e-6;
  const Tensor above = (*network)(Variable(images) + Variable(v) * h).data(),
               below = (*network)(Variable(images) - Variable(v) * h).data();
  for (int64_t i = 0; i < above.numel(); ++i) {
    const double numeric = (above.at(i) - below.at(i)) / (2 * h);
    EXPECT_NEAR(tangent.data().at(i), numeric, 1e-3 * (1 + std::abs(numeric))) << i;
  }
}

/// <g(w), v> with v constant: its gradient by the tangents beside central differences of g.
TEST_P(TangentsOf, GiveGradientsOfInputGradients) {
  const auto network = network_of(std::get<0>(GetParam()), std::get<1>(GetParam()));
  const Tensor images = noise({2, 16, 16, 3}, 2), v = noise({2, 16, 16, 3}, 3);
  const Pass pass(*network, images);
  const Tensor g = input_gradient(pass);
  const Variable h =
      sum(pass.output * 2.0 * Tangents(pass.calls, pass.x, Variable(v)).of(pass.output));
  EXPECT_NEAR(h.item(), inner(g, v), 1e-8 * (1 + std::abs(h.item())));
  h.backward();
  const std::vector<nn::Parameter> parameters = network->parameters();
  int64_t compared = 0;
  for (size_t p = 0; p < parameters.size(); p += 1 + parameters.size() / 5) {
    const Variable& w = parameters[p].value;
    double& element = w.data().data<double>()[w.data().numel() / 2];
    const double at = element, step = 1e-6;
    element = at + step;
    const double above = inner(input_gradient(Pass(*network, images)), v);
    element = at - step;
    const double below = inner(input_gradient(Pass(*network, images)), v);
    element = at;
    const double numeric = (above - below) / (2 * step),
                 found = w.grad().defined() ? w.grad().at(w.data().numel() / 2) : 0;
    EXPECT_NEAR(found, numeric, 2e-3 * (1 + std::abs(numeric))) << parameters[p].name;
    ++compared;
  }
  EXPECT_GE(compared, 5);
}

// In train mode a batch norm of two values is too steep to compare: not the last two, whose last
// maps have one pixel here.
std::vector<std::tuple<std::string, bool>> networks_and_modes() {
  std::vector<std::tuple<std::string, bool>> all;
  for (const char* name : {"resnet8", "wrn_16_1", "vgg8", "MobileNetV2", "ShuffleV2"})
    all.emplace_back(name, true), all.emplace_back(name, false);
  all.emplace_back("ShuffleV1", false), all.emplace_back("efficientnetb0", false);
  return all;
}
INSTANTIATE_TEST_SUITE_P(Networks, TangentsOf, testing::ValuesIn(networks_and_modes()),
                         [](const auto& i) {
                           return std::get<0>(i.param) +
                                  (std::get<1>(i.param) ? "_train" : "_eval");
                         });

TEST(Tangents, SayWhatTheyHaveNoRuleFor) {
  const Variable x(noise({2, 3}, 1), true);
  OperatorTrace trace;
  const Variable y = tanh(x);
  test::expect_error([&] { Tangents(trace.calls(), x, x); }, {"no rule for the operator tanh"});
  test::expect_error(
      [&] {
        Tangents(trace.calls(), x, Variable(noise({3, 2}, 1)));
      },
      {"direction of shape"});
}

TEST(Tangents, RefuseWeightsThatDependOnTheInput) {
  const Variable x(noise({3, 3}, 1), true), v(noise({3, 3}, 2));
  const auto refused = [&](const auto& forward, const char* name) {
    OperatorTrace trace;
    forward();
    test::expect_error([&] { Tangents(trace.calls(), x, v); }, {name, "input 1 depends on x"});
  };
  refused([&] { linear(x, relu(x)); }, "linear");
  refused([&] { linear(Variable(noise({2, 3}, 3)), x); }, "linear");
  nn::BatchNorm norm(3);
  norm.to(DType::f64);
  for (const bool train : {true, false}) {
    norm.train(train);
    const auto scaled_by_input = [&] {
      norm.weight = mean(x, {0});
      norm(x);
    };
    refused(scaled_by_input, "batch_norm");
  }
}

TEST(Tangents, MayBeMadeWhileTheTraceIsAlive) {
  const Variable x(noise({2, 3}, 1), true), v(noise({2, 3}, 2));
  OperatorTrace trace;
  Variable y = x;
  for (int i = 0; i < 20; ++i) y = relu(y * x) * 0.5 + x;
  const std::vector<OperatorCall> before = trace.calls();
  const Variable found = Tangents(trace.calls(), x, v).of(y);
  EXPECT_GT(trace.calls().size(), before.size());
  EXPECT_EQ(found.data().to_vector<double>(),
            Tangents(before, x, v).of(y).data().to_vector<double>());
}

TEST(Tangents, OfWhatDoesNotDependOnTheInputAreUndefined) {
  const Variable x(noise({2, 3}, 1), true), other(noise({2, 3}, 2), true);
  OperatorTrace trace;
  const Variable y = relu(other), z = x + y;
  const Tangents tangents(trace.calls(), x, Variable(noise({2, 3}, 3)));
  EXPECT_FALSE(tangents.of(y).defined());
  EXPECT_TRUE(tangents.of(z).defined());
}

TEST(GradientsKeepingTape, LeaveItForAnother) {
  const Variable x(noise({2, 3}, 1), true), w(noise({3, 3}, 2), true);
  const Variable y = sum(square(matmul(x, w)));
  const Tensor once = gradients_keeping_tape({y}, {Tensor::full({}, 1, DType::f64)}, {x})[0],
               again = gradients_keeping_tape({y}, {Tensor::full({}, 1, DType::f64)}, {x})[0];
  EXPECT_FALSE(w.grad().defined());
  y.backward();
  EXPECT_EQ(once.to_vector<double>(), again.to_vector<double>());
  EXPECT_EQ(once.to_vector<double>(), x.grad().to_vector<double>());
  EXPECT_TRUE(w.grad().defined());
  EXPECT_THROW(gradients_keeping_tape({y}, {Tensor::full({}, 1, DType::f64)}, {x}), Error);
}

TEST(GradientsKeepingTape, RefuseATapeThatIsFreedBehindTheOutput) {
  const Variable x(noise({2, 3}, 1), true), shared = square(x);
  const Variable once = sum(shared), again = sum(relu(shared));
  once.backward();
  test::expect_error(
      [&] { gradients_keeping_tape({again}, {Tensor::full({}, 1, DType::f64)}, {x}); },
      {"square", "already freed"});
}

}  // namespace
}  // namespace limbeck
