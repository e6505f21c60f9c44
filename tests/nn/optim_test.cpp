#include "nn/optim.h"

#include <gtest/gtest.h>

#include <cmath>

#include "nn/layers.h"

namespace limbeck::nn {
namespace {

/// w0 = {1, -2}, constant gradients {0.5, 0.25} at each step.
struct Toy {
  Variable w{Tensor::of<double>({1, -2}), true};
  std::vector<Parameter> parameters() const { return {{"w", w}}; }
  void set_grad() const { w.set_grad(Tensor::of<double>({0.5, 0.25})); }
};

/// PyTorch's formula, first step included.
std::vector<double> sgd_by_hand(int steps, double lr, double momentum, double decay,
                                bool nesterov) {
  std::vector<double> w{1, -2}, v(2);
  const double grads[] = {0.5, 0.25};
  for (int t = 0; t < steps; ++t)
    for (int i = 0; i < 2; ++i) {
      const double g = grads[i] + decay * w[i];
      v[i] = t == 0 ? g : momentum * v[i] + g;
      w[i] -= lr * (nesterov ? g + momentum * v[i] : v[i]);
    }
  return w;
}

TEST(SGD, FollowsPyTorchsFormula) {
  for (const bool nesterov : {false, true})
    for (const double momentum : {0.9, 0.5}) {
      Toy toy;
      SGD sgd(toy.parameters(),
              {.lr = 0.1, .momentum = momentum, .weight_decay = 0.01, .nesterov = nesterov});
      for (int t = 0; t < 4; ++t) {
        toy.set_grad();
        sgd.step();
      }
      const auto expected = sgd_by_hand(4, 0.1, momentum, 0.01, nesterov);
      for (int i = 0; i < 2; ++i) EXPECT_NEAR(toy.w.data().at(i), expected[i], 1e-14);
    }
}

TEST(SGD, UsesTheLatestRateAndSkipsParametersWithoutGradient) {
  Toy toy, idle;
  SGD sgd({{"w", toy.w}, {"idle", idle.w}}, {.lr = 1, .momentum = 0});
  sgd.set_lr(0.25);
  toy.set_grad();
  sgd.step();
  EXPECT_DOUBLE_EQ(toy.w.data().at(0), 1 - 0.25 * 0.5);
  EXPECT_EQ(idle.w.data().at(0), 1);
  EXPECT_EQ(sgd.lr(), 0.25);
}

TEST(Adam, FollowsAlgorithm1) {
  Toy toy;
  Adam adam(toy.parameters(),
            {.lr = 0.01, .beta1 = 0.5, .beta2 = 0.9, .eps = 1e-6, .weight_decay = 0.1});
  std::vector<double> w{1, -2}, m(2), v(2);
  const double grads[] = {0.5, 0.25};
  for (int t = 1; t <= 5; ++t) {
    toy.set_grad();
    adam.step();
    for (int i = 0; i < 2; ++i) {
      const double g = grads[i] + 0.1 * w[i];
      m[i] = 0.5 * m[i] + 0.5 * g;
      v[i] = 0.9 * v[i] + 0.1 * g * g;
      w[i] -= 0.01 * (m[i] / (1 - std::pow(0.5, t))) /
              (std::sqrt(v[i] / (1 - std::pow(0.9, t))) + 1e-6);
    }
  }
  for (int i = 0; i < 2; ++i) EXPECT_NEAR(toy.w.data().at(i), w[i], 1e-13);
}

/// A small network with a convolution, so that slots are stored in PyTorch's layout.
struct Net : Module {
  Conv2d conv{2, 4, {.kernel = 3}};
  Linear fc{4, 3};
  Net() {
    add("conv", conv);
    add("fc", fc);
    initialise(Stream(7));
  }
  double run(Optimizer& optimizer, int step) {
    Stream data(static_cast<uint64_t>(100 + step));
    const Tensor x = Tensor::empty({2, 5, 5, 2});
    data.fill_normal(x);
    optimizer.zero_grad();
    const Variable loss = cross_entropy(fc(global_avg_pool(conv(x))), Tensor::of<int64_t>({0, 2}));
    loss.backward();
    optimizer.step();
    return loss.item();
  }
};

template <class O>
void expect_resume_is_exact(const typename O::Config& config) {
  Net whole, cut;
  O a(whole.parameters(), config), b(cut.parameters(), config);
  for (int t = 0; t < 3; ++t) {
    whole.run(a, t);
    cut.run(b, t);
  }
  Net resumed;
  resumed.load_state_dict(cut.state_dict());
  O c(resumed.parameters(), {});
  c.load_state(b.state());
  EXPECT_EQ(c.lr(), b.lr());
  const auto config_kept = config;
  O d(resumed.parameters(), config_kept);
  d.load_state(b.state());
  for (int t = 3; t < 6; ++t) EXPECT_EQ(whole.run(a, t), resumed.run(d, t));
  const auto x = whole.parameters(), y = resumed.parameters();
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_EQ(x[i].value.data().to_vector<float>(), y[i].value.data().to_vector<float>())
        << x[i].name;
}

TEST(Optimizer, ResumesWithTheSameBits) {
  expect_resume_is_exact<SGD>({.lr = 0.1, .momentum = 0.9, .weight_decay = 1e-3, .nesterov = true});
  expect_resume_is_exact<Adam>({.lr = 0.01, .weight_decay = 1e-3});
}

TEST(Optimizer, StateHasPyTorchsShapesAndLoadsStrictly) {
  Net net;
  SGD sgd(net.parameters(), {});
  net.run(sgd, 0);
  TensorFile state = sgd.state();
  EXPECT_EQ(state.get("conv.weight.momentum_buffer").shape(), (Shape{4, 2, 3, 3}));
  const auto message = [&](const TensorFile& file) -> std::string {
    try {
      SGD other(net.parameters(), {});
      other.load_state(file, "run/state");
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message(state), "");
  TensorFile renamed = state;
  renamed.tensors.back().first = "fc.bias.velocity";
  EXPECT_NE(message(renamed).find("run/state: missing fc.bias.momentum_buffer"), std::string::npos);
  TensorFile shaped = state;
  shaped.tensors.back().second = Tensor::zeros({4});
  EXPECT_NE(message(shaped).find("expected [3]"), std::string::npos);
  TensorFile shorter = state;
  shorter.tensors.pop_back();
  EXPECT_NE(message(shorter), "");
}

TEST(Optimizer, RefusesASavedTensorChangedByAStep) {
  Net net;
  SGD sgd(net.parameters(), {.lr = 0.1});
  const Variable loss = sum(net.fc(Variable(Tensor::full({1, 4}, 1), true)));
  for (const Parameter& p : net.parameters()) p.value.set_grad(Tensor::zeros_like(p.value.data()));
  sgd.step();
  EXPECT_THROW(loss.backward(), Error);
}

TEST(Optimizer, WeightDecayMeansOnlyParametersThatDecay) {
  const auto after_a_step = [](const OptimizerConfig& config, bool decays) {
    Toy first, second;
    auto parameters = first.parameters();
    parameters.push_back({"v", second.w, DiskLayout::plain, decays});
    const auto optimiser = create_optimizer(parameters, config);
    first.set_grad(), second.set_grad();
    optimiser->step();
    return std::pair(first.w.data().to_vector<double>(), second.w.data().to_vector<double>());
  };
  Adam::Config decoupled{.lr = 0.1, .weight_decay = 0.5, .decoupled = true};
  for (const auto& [decaying, plain] : std::vector<std::pair<OptimizerConfig, OptimizerConfig>>{
           {SGD::Config{.lr = 0.1, .weight_decay = 0.5}, SGD::Config{.lr = 0.1}},
           {decoupled, Adam::Config{.lr = 0.1}}}) {
    const auto both = after_a_step(decaying, true), one = after_a_step(decaying, false),
               none = after_a_step(plain, true);
    EXPECT_EQ(one.first, both.first);
    EXPECT_EQ(one.second, none.second);
    EXPECT_NE(both.second, none.second);
  }
}

TEST(EMA, BlendsParametersAndBuffersAfterTheStart) {
  BatchNorm source(2), target(2);
  source.initialise(Stream(0));
  target.initialise(Stream(0));
  source.weight.data().fill(3);
  source.buffers()[0].value.fill(5);
  source.buffers()[2].value.fill(9);
  EMA ema(target, source, 0.75, 10);
  target.weight.data().fill(-1);
  ema.update(9);
  EXPECT_EQ(target.weight.data().at(0), 3);
  target.weight.data().fill(1);
  target.buffers()[0].value.fill(1);
  target.buffers()[2].value.fill(0);
  ema.update(10);
  EXPECT_FLOAT_EQ(target.weight.data().at(0), 0.75 * 1 + 0.25 * 3);
  EXPECT_FLOAT_EQ(target.buffers()[0].value.at(0), 0.75 * 1 + 0.25 * 5);
  EXPECT_EQ(target.buffers()[2].value.item(), 9);
  BatchNorm other(3);
  EXPECT_THROW(EMA(other, source, 0.9, 0), Error);
}

}  // namespace
}  // namespace limbeck::nn
