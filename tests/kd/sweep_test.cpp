// Sweeps of a plan (rho, number of fakes, judge, labels), what a plan leaves out, learning rates of
// single networks, and stored logits in a plan: names, needs and settings of the stages.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/kd/workflow_graph.h"

namespace limbeck::kd {
namespace {

ExperimentSettings swept() {
  ExperimentSettings s;
  s.plan.pairs = {"resnet20 > resnet8"};
  s.plan.methods = {"none", "fitnet"};
  s.plan.fakes = {"none"};
  s.plan.seeds = {1, 2};
  return s;
}

bool needs(const Stage& stage, const std::string& other) {
  return std::count(stage.needs.begin(), stage.needs.end(), other) == 1;
}
bool says(const Stage& stage, const std::string& line) {
  return stage.settings.find(line + "\n") != std::string::npos;
}

template <class Change>
std::string refusal(Change&& change) {
  ExperimentSettings s = swept();
  change(s);
  try {
    Workflow workflow(s);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Sweep, OfRhoMakesASetOfFakesForEach) {
  ExperimentSettings s = swept();
  s.plan.rhos = {0.5, 1};
  const Stages stages = graph(s);
  const Stage& set = stages.at("fakes_rho0.5");
  EXPECT_TRUE(says(set, "fakes.rho = 0.5"));
  EXPECT_TRUE(needs(set, "gan") && needs(set, "teacher.resnet20"));
  EXPECT_EQ(set.labels.at("fakes"), "m2-rho0.5");
  const Stage& student = stages.at("cgankd_fitnet_rho0.5.resnet20-resnet8.s2");
  EXPECT_TRUE(needs(student, "fakes_rho0.5") && needs(student, "nokd.resnet8.s2"));
  EXPECT_EQ(student.labels.at("fakes"), "m2-rho0.5");
  EXPECT_TRUE(stages.contains("cgankd_rho1.resnet8.s1"));
  EXPECT_FALSE(stages.contains("cgankd.resnet8.s1"));  // plan.fakes does not ask for it
}

TEST(Sweep, OfCountsDrawsFromOneSet) {
  ExperimentSettings s = swept();
  s.plan.counts = {1000, 5000};
  const Stages stages = graph(s);
  const Stage& student = stages.at("cgankd_n1000.resnet8.s1");
  EXPECT_TRUE(says(student, "transfer.fakes = 1000"));
  EXPECT_TRUE(needs(student, "fakes"));
  EXPECT_FALSE(stages.contains("fakes_n1000"));
}

TEST(Sweep, OfJudgesTrainsEachAndFiltersByIt) {
  ExperimentSettings s = swept();
  s.plan.judges = {"wrn_16_2"};
  s.plan.assigned_labels = true;
  s.fakes.adjust = true;
  const Stages stages = graph(s);
  EXPECT_TRUE(needs(stages.at("fakes_by-wrn_16_2"), "teacher.wrn_16_2"));
  EXPECT_TRUE(needs(stages.at("cgankd_by-wrn_16_2.resnet8.s1"), "fakes_by-wrn_16_2"));
  EXPECT_TRUE(says(stages.at("fakes_assigned"), "fakes.adjust = false"));
  EXPECT_TRUE(says(stages.at("fakes"), "fakes.adjust = true"));
}

TEST(Sweep, PreparationsOfAStudentAreOfItsImages) {
  ExperimentSettings s = swept();
  s.plan.methods = {"none", "ab", "ft"};
  s.plan.counts = {1000, 5000};
  const Stages stages = graph(s);
  EXPECT_TRUE(says(stages.at("cgankd_ab_n1000_init.resnet20-resnet8.s1"), "transfer.fakes = 1000"));
  EXPECT_TRUE(needs(stages.at("cgankd_ab_n5000.resnet20-resnet8.s1"),
                    "cgankd_ab_n5000_init.resnet20-resnet8.s1"));
  EXPECT_TRUE(needs(stages.at("cgankd_ft_n5000.resnet20-resnet8.s1"),
                    "ft_paraphraser.resnet20-resnet8.s1"));
}

TEST(Sweep, WrongPointsAreRefused) {
  EXPECT_NE(refusal([](auto& s) { s.plan.rhos = {0}; }).find("plan.rhos: expected"),
            std::string::npos);
  EXPECT_NE(refusal([](auto& s) { s.plan.counts = {0}; }).find("plan.counts"), std::string::npos);
  EXPECT_NE(refusal([](auto& s) { s.plan.judges = {"resnt8"}; }).find("plan.judges"),
            std::string::npos);
  EXPECT_NE(refusal([](auto& s) {
              s.plan.rhos = {0.5}, s.plan.fake_data = "x";
            }).find("make sets of fakes"),
            std::string::npos);
}

TEST(Plan, LeavesOutWhatIsNotAvailable) {
  ExperimentSettings s = swept();
  s.plan.pairs = {"resnet20 > resnet8", "wrn_16_2 > resnet8"};
  s.plan.methods = {"none", "blkd", "fitnet", "at"};
  s.plan.fakes = {"none", "m2", "equal"};
  s.plan.with_fakes = {"none", "blkd"};
  s.plan.na = {"fitnet, at: wrn_16_2 > resnet8"};
  const Stages stages = graph(s);
  EXPECT_TRUE(stages.contains("fitnet.resnet20-resnet8.s1"));
  EXPECT_FALSE(stages.contains("fitnet.wrn_16_2-resnet8.s1"));
  EXPECT_TRUE(stages.contains("blkd.wrn_16_2-resnet8.s1"));
  EXPECT_TRUE(stages.contains("cgankd_blkd.wrn_16_2-resnet8.s1"));
  EXPECT_FALSE(stages.contains("cgankd_fitnet.resnet20-resnet8.s1"));
  EXPECT_FALSE(stages.contains("fitnet_equal.resnet20-resnet8.s1"));
  EXPECT_NE(refusal([](auto& t) { t.plan.na = {"fitnet"}; }).find("plan.na: expected"),
            std::string::npos);
  EXPECT_NE(refusal([](auto& t) { t.plan.na = {"at: resnet20 > resnet8"}; }).find("plan.methods"),
            std::string::npos);
  EXPECT_NE(refusal([](auto& t) { t.plan.with_fakes = {"at"}; }).find("plan.with_fakes"),
            std::string::npos);
}

TEST(Plan, NetworksMayHaveALearningRateOfTheirOwn) {
  ExperimentSettings s = swept();
  s.plan.pairs = {"resnet20 > resnet8", "resnet20 > MobileNetV2"};
  s.plan.lrs = {"MobileNetV2: 0.01"};
  s.student.lr = 0.25;
  const Stages stages = graph(s);
  EXPECT_TRUE(says(stages.at("nokd.MobileNetV2.s1"), "student.lr = 0.01"));
  EXPECT_TRUE(says(stages.at("nokd.resnet8.s1"), "student.lr = 0.25"));
  EXPECT_NE(refusal([](auto& t) { t.plan.lrs = {"MobileNetV2"}; }).find("plan.lrs: expected"),
            std::string::npos);
  EXPECT_NE(
      refusal([](auto& t) {
        t.student.final_lr = 0.01, t.plan.lrs = {"MobileNetV2: 0.001"};
      }).find("plan.lrs: expected at least student.final_lr (0.01), found 'MobileNetV2: 0.001'"),
      std::string::npos);
}

TEST(Plan, StoredLogitsStandInForTheTeacher) {
  ExperimentSettings s = swept();
  s.plan.methods = {"none", "blkd", "dkd", "dist"};
  s.plan.logits = "logits.safetensors";
  const Stages stages = graph(s);
  EXPECT_FALSE(stages.contains("teacher.resnet20"));
  EXPECT_TRUE(needs(stages.at("dkd.resnet20-resnet8.s1"), "logits"));
  EXPECT_TRUE(stages.at("nokd.resnet8.s1").needs.empty());
  const auto with_logits = [](auto change) {
    return refusal([&](auto& t) {
      t.plan.logits = "x";
      change(t);
    });
  };
  EXPECT_NE(with_logits([](auto&) {}).find("plan.logits: fitnet must see the teacher itself"),
            std::string::npos);
  EXPECT_NE(with_logits([](auto& t) {
              t.plan.methods = {"blkd"}, t.plan.fakes = {"m2"};
            }).find("with plan.logits expected none, found m2"),
            std::string::npos);
  EXPECT_NE(with_logits([](auto& t) {
              t.plan.methods = {"blkd"}, t.plan.pairs.push_back("wrn_16_2 > resnet8");
            }).find("found also wrn_16_2"),
            std::string::npos);
}

}  // namespace
}  // namespace limbeck::kd
