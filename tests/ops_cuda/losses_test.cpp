// Losses and optimisers on the device cuda beside the CPU, in f64. The CPU's own proof (formulas,
// central differences) is in tests/autograd, tests/nn, tests/gan and tests/kd.
#include <gtest/gtest.h>

#include <functional>

#include "autograd/functions.h"
#include "gan/density_ratio.h"
#include "gan/losses.h"
#include "nn/layers.h"
#include "nn/optim.h"
#include "tests/kd/method_settings.h"
#include "tests/ops_cuda/pass.h"
#include "train/criterion.h"

namespace limbeck {
namespace {

constexpr Device cuda{DeviceKind::cuda, 0};

/// Value and gradients of a loss of two inputs [n, c].
using Loss = std::function<Variable(const Variable& x, const Variable& t, Device device)>;

void expect_same_everywhere(const char* name, const Loss& loss, const Shape& shape = {4, 5}) {
  const auto run = [&](Device device) {
    const Variable x(draw(shape, 1, DType::f64, device, 0.1, 3), true),
        t(draw(shape, 2, DType::f64, device, 0.1, 2), true);
    const Variable y = loss(x, t, device);
    y.backward(draw(y.shape(), 3, DType::f64, device));
    Pass pass;
    pass.add(cat(name, ": value"), y.data());
    pass.add(cat(name, ": gradient of x"), x.grad());
    if (t.grad().defined()) pass.add(cat(name, ": gradient of t"), t.grad());
    return pass;
  };
  expect_close(run(cuda), run(cpu), 1e-12);
}

Tensor labels(Device device) { return Tensor::of<int64_t>({1, 0, 4, 2}).to(device); }

TEST(CudaLosses, AreThoseOfTheCpu) {
  for (const Reduction r : {Reduction::none, Reduction::mean, Reduction::sum}) {
    expect_same_everywhere("cross_entropy", [&](const Variable& x, const Variable&, Device d) {
      return cross_entropy(x, labels(d), r);
    });
    expect_same_everywhere("soft_cross_entropy", [&](const Variable& x, const Variable& t, Device) {
      return soft_cross_entropy(x, t, r);
    });
    expect_same_everywhere("kl_div", [&](const Variable& x, const Variable& t, Device) {
      return kl_div(log_softmax(x), t, r);
    });
    expect_same_everywhere("mse_loss", [&](const Variable& x, const Variable& t, Device) {
      return mse_loss(x, t, r);
    });
    expect_same_everywhere(
        "l1_loss", [&](const Variable& x, const Variable& t, Device) { return l1_loss(x, t, r); });
    expect_same_everywhere("smooth_l1_loss", [&](const Variable& x, const Variable& t, Device) {
      return smooth_l1_loss(x, t, r, 0.5);
    });
  }
  expect_same_everywhere("distillation_loss", [](const Variable& x, const Variable& t, Device) {
    return distillation_loss(x, t.data(), 4);
  });
  for (const gan::AdversarialLoss l :
       {gan::AdversarialLoss::hinge, gan::AdversarialLoss::vanilla}) {
    expect_same_everywhere("discriminator",
                           [l](const Variable& x, const Variable& t, Device) {
                             return gan::discriminator_loss(l, x, t);
                           },
                           {6, 1});
    expect_same_everywhere("discriminator, weighted",
                           [l](const Variable& x, const Variable& t, Device d) {
                             return gan::discriminator_loss(l, x, t,
                                                            draw({6, 1}, 7, DType::f64, d, 0, 1),
                                                            draw({6, 1}, 8, DType::f64, d, 0, 1));
                           },
                           {6, 1});
    expect_same_everywhere(
        "generator",
        [l](const Variable& x, const Variable&, Device) { return gan::generator_loss(l, x); },
        {6, 1});
  }
  expect_same_everywhere(
      "density ratio",
      [](const Variable& x, const Variable& t, Device) { return gan::ratio_loss(x, t, 0.7); },
      {6, 1});
}

TEST(CudaLosses, CriteriaAndTheDistillationTerm) {
  const auto batch = [](Device d) {
    return data::Batch{.labels = labels(d), .targets = draw({4}, 5, DType::f64, d, 0, 1)};
  };
  const train::ClassificationCriterion classes, smoothed(0.1);
  const train::RegressionCriterion responses;
  expect_same_everywhere("classification", [&](const Variable& x, const Variable&, Device d) {
    return classes.loss(x, batch(d));
  });
  expect_same_everywhere("smoothed labels", [&](const Variable& x, const Variable&, Device d) {
    return smoothed.loss(x, batch(d));
  });
  expect_same_everywhere(
      "regression",
      [&](const Variable& x, const Variable&, Device d) { return responses.loss(x, batch(d)); },
      {4, 1});
  for (const char* form : {"official", "paper"}) {
    const auto method = kd::create_method("blkd", "form", std::string(form));
    const auto features = [](const Variable& v) { return nn::Features{{v}, v}; };
    expect_same_everywhere(form, [&](const Variable& x, const Variable& t, Device) {
      return kd::distill(*method, features(x), features(t.detach()));
    });
  }
  for (const Device d : {cpu, cuda}) {
    const Tensor output =
        Tensor::of<float>({0, 3, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 7}, {4, 5})
            .to(d);
    EXPECT_EQ(classes.score(output, batch(d)), 2);  // predicts 1, 0, 3, 4 for labels 1, 0, 4, 2
  }
}

/// A convolution, whose slots have PyTorch's layout in files, and a layer that gets no gradient.
struct Net : nn::Module {
  nn::Conv2d conv{3, 5, {.kernel = 3, .padding = 1}};
  nn::Linear idle{2, 2};
  Net() {
    add("conv", conv);
    add("idle", idle);
    initialise(Stream(1));
    to(DType::f64);
  }
};

template <class Optimizer>
Pass steps(const typename Optimizer::Config& config, Device device) {
  Net net, average;
  net.to(device), average.to(device);
  Optimizer optimizer(net.parameters(), config);
  nn::EMA ema(average, net, 0.9, 2);
  const auto step = [&](Optimizer& o, int t) {
    o.zero_grad();
    const Variable y =
        net.conv(Variable(draw({2, 4, 4, 3}, 20 + static_cast<uint64_t>(t), DType::f64, device)));
    mean(square(y)).backward();
    o.set_lr(config.lr / (1 + t));
    o.step();
    ema.update(t);
  };
  for (int t = 0; t < 4; ++t) step(optimizer, t);
  // A second optimiser goes on from the state of the first, as after a resume.
  const TensorFile state = optimizer.state();
  Optimizer resumed(net.parameters(), config);
  resumed.load_state(state);
  step(resumed, 4);
  Pass pass;
  for (const auto& [name, t] : state.tensors) pass.add("state " + name, t);
  for (const nn::Module* m : {&net, &average})
    for (const nn::Parameter& p : m->parameters())
      pass.add(cat(m == &net ? "" : "average of ", p.name), p.value.data());
  return pass;
}

TEST(CudaOptimizers, StepAndResumeAsOnTheCpu) {
  for (const bool nesterov : {false, true}) {
    const nn::SGD::Config config{
        .lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = nesterov};
    expect_close(steps<nn::SGD>(config, cuda), steps<nn::SGD>(config, cpu), 1e-12);
  }
  for (const bool decoupled : {false, true}) {
    const nn::Adam::Config config{.lr = 0.01,
                                  .beta1 = 0.5,
                                  .beta2 = 0.9,
                                  .eps = 1e-6,
                                  .weight_decay = 0.1,
                                  .decoupled = decoupled};
    expect_close(steps<nn::Adam>(config, cuda), steps<nn::Adam>(config, cpu), 1e-10);
  }
}

}  // namespace
}  // namespace limbeck
