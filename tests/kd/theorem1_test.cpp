// The terms of Theorem 1 beside numbers computed by hand.
#include "kd/theorem1.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "kd/workflow.h"
#include "tests/data/temporary.h"

namespace limbeck::kd {
namespace {

TEST(Theorem1, SampleAndGapTerms) {
  // 2 sqrt(4 / n log 40): of the paper's 50,000 real images, and of three times as many.
  EXPECT_NEAR(sample_term(1, 50000, 0.05), 0.03436, 5e-6);
  EXPECT_NEAR(sample_term(1, 150000, 0.05), 0.01984, 5e-6);
  EXPECT_NEAR(sample_term(3, 1, 0.05), 3 * 7.682, 3e-3);
  EXPECT_NEAR(gap_term(1, 1.0 / 3, 0.0055), 2.667 * 0.0055, 1e-5);
  EXPECT_EQ(gap_term(5, 1, 1), 0);  // no fakes, no gap
}

TEST(Theorem1, ComplexityTermIsOfRAtMostOne) {
  const Estimate term = complexity_term(2.5, {4, 0.5}, 400);
  EXPECT_DOUBLE_EQ(term.mean, 4 * 2.5 * 4 / 20);
  EXPECT_DOUBLE_EQ(term.error, 4 * 2.5 * 0.5 / 20);
  EXPECT_DOUBLE_EQ(complexity_term(2.5, {30, 0}, 400).mean, 10) << "no h is above 1";
}

TEST(Theorem1, GapsOfRatiosAndLabels) {
  const Estimate gap = gap_of_ratio({0, 2, 1, 1});
  EXPECT_DOUBLE_EQ(gap.mean, 0.25);
  EXPECT_DOUBLE_EQ(gap.error, std::sqrt(4 * 0.0625 / 3 / 4));
  EXPECT_DOUBLE_EQ(gap_of_ratio({0, 6, 3, 3}).mean, 0.25) << "r is 1 on average";
  EXPECT_DOUBLE_EQ(gap_of_ratio({1.5, 1.5, 1.5}).mean, 0);
  EXPECT_THROW(gap_of_ratio({}), Error);
  test::expect_error([] { gap_of_ratio({0, 0}); }, {"theorem1.ratio", "every fake is 0"});
  EXPECT_DOUBLE_EQ(gap_of_labels({1, 1, 2}, {10, 10, 20}), 0);
  EXPECT_DOUBLE_EQ(gap_of_labels({1, 1, 2}, {2, 1, 1}), 0.25);
  EXPECT_DOUBLE_EQ(gap_of_labels({3, 0}, {0, 5}), 1);
  test::expect_error([] { gap_of_labels({1, 2}, {1}); }, {"gap_of_labels", "2 and 1"});
  test::expect_error([] { gap_of_labels({1, 2}, {0, 0}); }, {"gap_of_labels", "0 fake"});
}

TEST(Theorem1, SharesOfRealImages) {
  // 240 epochs of 100 images, then 240 of 300 with the same 100 among them.
  EXPECT_DOUBLE_EQ(theta_of_run(100, 300, 240, 240), 200.0 / 400);
  EXPECT_DOUBLE_EQ(theta_of_run(100, 300, 0, 7), 1.0 / 3);
  EXPECT_DOUBLE_EQ(theta_of_run(100, 100, 3, 5), 1);
}

TEST(Theorem1, EstimatesAndLossBounds) {
  const Estimate e = estimate({1, 2, 3, 6});
  EXPECT_DOUBLE_EQ(e.mean, 3);
  EXPECT_DOUBLE_EQ(e.error, std::sqrt((4 + 1 + 0 + 9) / 3.0 / 4));
  EXPECT_EQ(estimate({2}).error, 0);
  EXPECT_THROW(estimate({}), Error);
  std::vector<double> losses;
  for (int i = 0; i <= 2000; ++i) losses.push_back(i / 1000.0);
  const LossBound b = loss_bound(losses);
  EXPECT_DOUBLE_EQ(b.quantile, 1.998);
  EXPECT_DOUBLE_EQ(b.largest, 2);
  EXPECT_DOUBLE_EQ(b.share_above, 2.0 / 2001);
  EXPECT_THROW(loss_bound({}), Error);
}

TEST(Theorem1, AGapOfLossesIsADifferenceOfMeans) {
  const Estimate gap = gap_of_losses({0, 0, 1, 0}, {1, 1, 0, 1});
  EXPECT_DOUBLE_EQ(gap.mean, 0.5);
  EXPECT_DOUBLE_EQ(gap.error, std::sqrt(2 * 0.25 / 4));
}

Tensor normal(int64_t n, double mean, uint64_t seed) {
  Tensor t = Tensor::empty({n, 3});
  Stream(seed).fill_normal(t, mean, 1);
  return t;
}

TEST(Theorem1, AClassifierBoundsTheTotalVariationFromBelow) {
  const Estimate same = gap_of_classifier(normal(2000, 0, 1), normal(2000, 0, 2), Stream(3));
  EXPECT_LT(std::abs(same.mean), 4 * same.error);
  EXPECT_NEAR(same.error, std::sqrt(0.5 / 1000), 0.005);
  const Estimate apart = gap_of_classifier(normal(400, -5, 1), normal(900, 5, 2), Stream(3));
  EXPECT_GT(apart.mean, 0.99);
  // Three coordinates one apart each: TV = 2 Phi(sqrt(3) / 2) - 1.
  const double tv = std::erf(std::sqrt(3.0) / 2 / std::sqrt(2.0));
  const Estimate some = gap_of_classifier(normal(4000, 0, 1), normal(4000, 1, 2), Stream(3));
  EXPECT_NEAR(some.mean, tv, 4 * some.error) << "linear, so the classifier reaches the bound";
  EXPECT_EQ(gap_of_classifier(normal(40, 0, 1), normal(40, 1, 2), Stream(3)).mean,
            gap_of_classifier(normal(40, 0, 1), normal(40, 1, 2), Stream(3)).mean);
  test::expect_error([] { gap_of_classifier(normal(3, 0, 1), normal(9, 0, 1), Stream(3)); },
                     {"theorem1", "3 real"});
}

TEST(Theorem1, IsAStageForEveryStudentOfFakes) {
  ExperimentSettings s;
  s.data.kind = "shapes";
  const auto stages_with = [&](bool measure) {
    s.theorem1.measure = measure;
    return Workflow(s).stages();
  };
  std::set<std::string> names;
  for (const Stage& stage : stages_with(true))
    if (stage.labels.at("role") == "theorem1") {
      names.insert(stage.name);
      EXPECT_EQ(stage.labels.at("fakes"), "m2");
      EXPECT_EQ(stage.needs.back(), "teacher") << stage.name;
    }
  EXPECT_EQ(names, (std::set<std::string>{"theorem1_cgankd", "theorem1_cgankd_blkd"}));
  for (const Stage& stage : stages_with(false)) EXPECT_NE(stage.labels.at("role"), "theorem1");
  s.theorem1.delta = 1;
  test::expect_error([&] { Workflow{s}; }, {"theorem1.delta", "found 1"});
}

TEST(Theorem1, StudentsShareTheTrainingsOnSignsAndTheRatioOfASet) {
  ExperimentSettings s;
  s.data.kind = "shapes", s.ablation = true;
  s.theorem1.measure = s.theorem1.rademacher.measure = s.theorem1.ratio = true;
  std::set<std::string> shared;
  for (const Stage& stage : Workflow(s).stages()) {
    const std::string role = stage.labels.at("role");
    if (role == "rademacher" || role == "theorem1_ratio") shared.insert(stage.name);
    if (role != "theorem1") continue;
    const std::string fakes = stage.labels.at("fakes");
    for (const char* part : {"theorem1_rademacher_", "theorem1_ratio_"})
      EXPECT_EQ(std::count(stage.needs.begin(), stage.needs.end(), part + fakes), 1) << stage.name;
  }
  EXPECT_EQ(shared, (std::set<std::string>{"theorem1_rademacher_raw", "theorem1_rademacher_m1",
                                           "theorem1_rademacher_m2", "theorem1_ratio_raw",
                                           "theorem1_ratio_m1", "theorem1_ratio_m2"}));
}

TEST(Theorem1, WhatIsSharedKnowsItsSettingsOnly) {
  ExperimentSettings s;
  s.data.kind = "shapes";
  s.theorem1.measure = s.theorem1.rademacher.measure = s.theorem1.ratio = true;
  const auto text = [&](const std::string& name) {
    for (const Stage& stage : Workflow(s).stages())
      if (stage.name == name) return stage.settings;
    return std::string("none");
  };
  const std::string signs = text("theorem1_rademacher_m2"), ratio = text("theorem1_ratio_m2");
  s.student.epochs = 7, s.student.milestones = {3}, s.student.flip = false, s.theorem1.delta = 0.1;
  EXPECT_EQ(text("theorem1_rademacher_m2"), signs);
  EXPECT_EQ(text("theorem1_ratio_m2"), ratio);
  s.student.lr = 0.01;
  EXPECT_NE(text("theorem1_rademacher_m2"), signs);
  EXPECT_EQ(text("theorem1_ratio_m2"), ratio);
  s.ratio.epochs = 7;
  EXPECT_NE(text("theorem1_ratio_m2"), ratio);
}

TEST(Theorem1, RefusesWhatNoStageCouldMeasure) {
  const auto refuses = [](auto change, const std::vector<std::string>& parts) {
    ExperimentSettings s;
    s.data.kind = "shapes";
    change(s);
    test::expect_error([&] { Workflow{s}; }, parts);
  };
  refuses([](auto& s) { s.theorem1.rademacher.measure = true; },
          {"theorem1.rademacher.measure", "theorem1.measure = true"});
  refuses([](auto& s) { s.theorem1.ratio = true; }, {"theorem1.ratio", "theorem1.measure = true"});
  refuses([](auto& s) { s.theorem1.measure = true, s.theorem1.rademacher.sizes = {0}; },
          {"theorem1.rademacher.sizes", "found 0"});
  refuses(
      [](auto& s) {
        s.theorem1.measure = s.theorem1.ratio = true, s.plan.fake_data = "fakes.safetensors";
        s.plan.pairs = {"resnet20 > resnet8"};
      },
      {"theorem1.ratio", "plan.fake_data leaves out"});
}

}  // namespace
}  // namespace limbeck::kd
