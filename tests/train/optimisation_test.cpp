// Optimisers, schedules and smoothed labels as settings, beside PyTorch's numbers
// (tests/oracle/optimisation.py).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "autograd/gradcheck.h"
#include "train/criterion.h"
#include "train/settings.h"

namespace limbeck::train {
namespace {

using Json = nlohmann::json;

Json fixture() { return Json::parse(std::ifstream("tests/data/fixtures/train/optimisation.json")); }

/// The settings that the fixture's optimisers have by their names.
std::map<std::string, Settings> optimisers() {
  Settings sgd, nesterov, adam, adam_all, adamw, adamw_all;
  nesterov.lr = 0.02, nesterov.momentum = 0.8, nesterov.weight_decay = 0.01;
  nesterov.nesterov = true;
  adam.optimizer = adam_all.optimizer = "adam";
  adamw.optimizer = adamw_all.optimizer = "adamw";
  adam.lr = adamw.lr = 0.01;
  adam.weight_decay = 0, adamw.weight_decay = 0.1;
  adam_all.lr = 0.02, adam_all.beta1 = 0.5, adam_all.beta2 = 0.9, adam_all.adam_eps = 1e-6;
  adam_all.weight_decay = 0.1;
  adamw_all.lr = 0.05, adamw_all.beta1 = 0.8, adamw_all.beta2 = 0.95, adamw_all.adam_eps = 1e-4;
  adamw_all.weight_decay = 0.5;
  return {{"sgd", sgd},     {"sgd_nesterov", nesterov},
          {"adam", adam},   {"adam_settings", adam_all},
          {"adamw", adamw}, {"adamw_settings", adamw_all}};
}

Tensor gradient(const Tensor& w, int64_t step) {
  Tensor g = Tensor::empty_like(w);
  for (int64_t i = 0; i < w.numel(); ++i) {
    const double x = w.at(i);
    const double value =
        0.5 * x * x * x - x + 0.1 * static_cast<double>(i) - 0.05 * static_cast<double>(step);
    if (g.dtype() == DType::f32)
      g.data<float>()[i] = static_cast<float>(value);
    else
      g.data<double>()[i] = value;
  }
  return g;
}

void expect_weights_of_pytorch(DType dtype, double tolerance) {
  const Json all = fixture().at("weights");
  const auto settings = optimisers();
  ASSERT_EQ(all.size(), settings.size());
  for (const auto& [name, expected] : all.items()) {
    const Settings& s = settings.at(name);
    const Variable w(Tensor::of<double>({1, -2, 0.5, 3, -0.25}).to(dtype), true);
    const auto optimizer = nn::create_optimizer({{"w", w}}, optimizer_of(s));
    for (size_t step = 0; step < expected.size(); ++step) {
      w.set_grad(gradient(w.data(), static_cast<int64_t>(step)));
      optimizer->set_lr(s.lr * std::pow(0.9, step));
      optimizer->step();
      for (int64_t i = 0; i < w.size(0); ++i)
        ASSERT_NEAR(w.data().at(i), expected[step][static_cast<size_t>(i)].get<double>(), tolerance)
            << name << ", weight " << i << " after step " << step;
    }
  }
}

TEST(Optimisation, WeightsOfPyTorchsOptimisers) {
  expect_weights_of_pytorch(DType::f64, 1e-12);
  expect_weights_of_pytorch(DType::f32, 2e-5);
}

TEST(Optimisation, RatesOfPyTorchsSchedules) {
  std::map<std::string, Settings> settings;
  Settings base;
  base.epochs = 6, base.lr = 0.2, base.milestones = {2, 4}, base.late_drop = false;
  for (const char* name : {"milestones", "cosine", "warmup_cosine", "warmup_milestones"})
    settings[name] = base;
  settings["cosine"].schedule = settings["warmup_cosine"].schedule = "cosine";
  settings["cosine"].final_lr = 0.01;
  settings["warmup_cosine"].warmup = 1.5;
  settings["warmup_milestones"].warmup = 1;
  const Json all = fixture().at("rates");
  ASSERT_EQ(all.size(), settings.size());
  for (const auto& [name, expected] : all.items())
    for (size_t step = 0; step < expected.size(); ++step)
      EXPECT_NEAR(learning_rate(settings.at(name), static_cast<int64_t>(step), 4),
                  expected[step].get<double>(), 1e-12)
          << name << ", step " << step;
}

TEST(Optimisation, SmoothedLabelsOfPyTorch) {
  const Json f = fixture().at("label_smoothing");
  const data::Batch batch{.labels = Tensor::of(f.at("labels").get<std::vector<int64_t>>())};
  const ClassificationCriterion plain;
  for (const Json& c : f.at("cases")) {
    std::vector<double> logits, expected;
    for (const auto& row : c.at("logits").get<std::vector<std::vector<double>>>())
      logits.insert(logits.end(), row.begin(), row.end());
    for (const auto& row : c.at("gradient").get<std::vector<std::vector<double>>>())
      expected.insert(expected.end(), row.begin(), row.end());
    const Variable x(Tensor::of(logits, {3, 4}), true);
    const auto criterion = plain.smoothed(c.at("smoothing"));
    const Variable loss = criterion->loss(x, batch);
    EXPECT_NEAR(loss.item(), c.at("loss").get<double>(), 1e-12);
    loss.backward();
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(x.grad().at(static_cast<int64_t>(i)), expected[i], 1e-12);
    const auto report = gradcheck([&](const Variables& v) { return criterion->loss(v[0], batch); },
                                  {Variable(x.data().clone(), true)});
    EXPECT_TRUE(report.ok) << report.message;
  }
}

std::string refusal_of(const Settings& s, bool classes = true) {
  try {
    check(s, "student", classes);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Optimisation, WrongSettingsAreNamed) {
  const Settings right;
  EXPECT_EQ(refusal_of(right), "");
  const auto with = [&](auto change) {
    Settings s;
    change(s);
    return refusal_of(s);
  };
  EXPECT_EQ(with([](Settings& s) { s.optimizer = "Adam"; }),
            "student.optimizer: expected sgd, adam or adamw, found 'Adam'");
  EXPECT_EQ(with([](Settings& s) { s.schedule = "cosin"; }),
            "student.schedule: expected milestones or cosine, found 'cosin'");
  EXPECT_EQ(with([](Settings& s) { s.warmup = 240; }),
            "student.warmup: expected 0 or more and below student.epochs (240), found 240");
  EXPECT_EQ(with([](Settings& s) { s.final_lr = 0.1; }),
            "student.final_lr: expected 0 to student.lr (0.05), found 0.1");
  EXPECT_EQ(with([](Settings& s) { s.beta2 = 1; }),
            "student.beta2: expected 0 or more and below 1, found 1");
  EXPECT_EQ(with([](Settings& s) { s.adam_eps = 0; }),
            "student.adam_eps: expected a positive number, found 0");
  EXPECT_EQ(with([](Settings& s) { s.label_smoothing = 1; }),
            "student.label_smoothing: expected 0 or more and below 1, found 1");
  Settings smoothed;
  smoothed.label_smoothing = 0.1;
  EXPECT_EQ(refusal_of(smoothed), "");
  EXPECT_EQ(refusal_of(smoothed, false),
            "student.label_smoothing: there are no classes to smooth, expected 0, found 0.1");
  EXPECT_THROW(RegressionCriterion().smoothed(0.1), Error);
}

}  // namespace
}  // namespace limbeck::train
