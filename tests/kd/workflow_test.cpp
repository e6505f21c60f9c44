// The graph of a workflow: its stages, what they need, and which settings each of them reads.
#include "kd/workflow.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "tests/data/temporary.h"
#include "tests/kd/workflow_graph.h"

namespace limbeck::kd {
namespace {

ExperimentSettings with_plan() {
  ExperimentSettings s;
  s.plan.pairs = {"resnet20 > resnet8", "wrn_16_2>wrn_16_1"};
  s.plan.methods = {"none", "blkd", "fitnet"};
  s.plan.seeds = {1, 2, 3};
  return s;
}

void expect_a_graph(const ExperimentSettings& s) {
  std::set<std::string> seen;
  for (const Stage& stage : Workflow(s).stages()) {
    for (const std::string& need : stage.needs)
      EXPECT_TRUE(seen.count(need)) << stage.name << " needs " << need;
    EXPECT_TRUE(seen.insert(stage.name).second) << stage.name << " twice";
    EXPECT_FALSE(stage.title.empty());
    EXPECT_TRUE(stage.labels.contains("role") && stage.labels.contains("seed")) << stage.name;
    EXPECT_EQ(stage.name.find_first_not_of(
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+"),
              std::string::npos)
        << stage.name;
  }
}

TEST(Workflow, EveryNeedIsAnEarlierStage) {
  ExperimentSettings s;
  s.ablation = true;
  expect_a_graph(s);
  expect_a_graph(with_plan());
  const auto stages = graph(s);
  for (const char* name : {"teacher", "nokd", "nokd_equal", "blkd", "gan", "features", "ratio",
                           "fakes_raw", "fakes_m1", "fakes", "cgankd", "cgankd_blkd", "cgankd_raw",
                           "cgankd_m1", "blkd_equal", "evaluate"})
    EXPECT_TRUE(stages.contains(name)) << name;
}

/// Without real images a method has one student a pair and seed, whatever [plan] says of fakes.
TEST(Workflow, StudentsWithoutData) {
  ExperimentSettings s = with_plan();
  s.plan.methods = {"none", "cgdd", "blkd"};
  expect_a_graph(s);
  const auto stages = graph(s);
  const std::string name = "cgdd.resnet20-resnet8.s2";
  ASSERT_TRUE(stages.contains(name));
  EXPECT_EQ(stages.at(name).needs, (std::vector<std::string>{"teacher.resnet20"}));
  EXPECT_EQ(stages.at(name).labels.at("method_name"), "CGDD-R");
  EXPECT_EQ(stages.at(name).settings.find("student."), std::string::npos);
  for (const auto& [other, stage] : stages)
    EXPECT_TRUE(other.find("cgdd") == std::string::npos || stage.labels.at("fakes") == "none");
  s.plan.methods = {"none"}, s.plan.generator = "cgdd";
  expect_a_graph(s);
  const auto inside = graph(s);
  EXPECT_FALSE(inside.contains("gan") || inside.contains("ratio") || inside.contains("features"));
  EXPECT_EQ(inside.at("fakes").needs,
            (std::vector<std::string>{"cgdd.resnet20-resnet8.s1", "teacher.resnet20"}));
  s.plan.generator = "deepinversion";
  test::expect_error([&] { Workflow w(s); }, {"plan.generator", "deepinversion"});
  s.plan.generator = "";
  s.plan.methods = {"none", "cgdd"}, s.plan.with_fakes = {"cgdd"};
  test::expect_error([&] { Workflow w(s); }, {"plan.with_fakes", "cgdd"});
  s.plan.methods = {"cgdd_v2"}, s.plan.with_fakes = {};
  test::expect_error([&] { Workflow w(s); }, {"plan.methods", "'cgdd_v2'", "cgdd_v1"});
}

TEST(Workflow, StagesAreNamedAfterTheMethodThatRuns) {
  ExperimentSettings s;
  s.distillation.method = "fitnet";
  const auto stages = graph(s);
  ASSERT_TRUE(stages.contains("fitnet") && stages.contains("cgankd_fitnet"));
  EXPECT_FALSE(stages.contains("blkd"));
  EXPECT_NE(stages.at("cgankd_fitnet").title.find("cGAN-KD + FitNet"), std::string::npos);
  EXPECT_EQ(stages.at("cgankd_fitnet").labels.at("method"), "fitnet");
}

TEST(Plan, SharesTeachersGenerationAndStudentsWithoutATeacher) {
  const auto stages = graph(with_plan());
  std::map<std::string, int> roles;
  for (const auto& [name, stage] : stages) ++roles[stage.labels.at("role")];
  EXPECT_EQ(roles["teacher"], 2);
  EXPECT_EQ(roles["gan"], 1);
  EXPECT_EQ(roles["ratio"], 1);
  EXPECT_EQ(roles["fakes"], 3);
  EXPECT_EQ(roles["student"], 2 * 3 * 3 * 3);
  EXPECT_TRUE(stages.contains("cgankd_fitnet.wrn_16_2-wrn_16_1.s3"));
  EXPECT_TRUE(stages.contains("nokd.wrn_16_1.s3"));

  ExperimentSettings same_student = with_plan();
  same_student.plan.pairs = {"resnet20 > resnet8", "resnet14 > resnet8"};
  const auto fewer = graph(same_student);
  EXPECT_EQ(fewer.count("nokd.resnet8.s1"), 1u);
  EXPECT_EQ(std::count_if(fewer.begin(), fewer.end(),
                          [](const auto& s) { return s.second.labels.at("role") == "student"; }),
            3 * (3 + 2 * 3 * 2));
}

TEST(Plan, ASeedOfStudentsLeavesTeachersAndGenerationAlone) {
  ExperimentSettings more = with_plan();
  more.plan.seeds = {1, 2, 3, 4};
  const auto before = graph(with_plan()), after = graph(more);
  for (const auto& [name, stage] : before)
    EXPECT_EQ(stage.settings, after.at(name).settings) << name;
  EXPECT_GT(after.size(), before.size());
}

TEST(Plan, OnlyStudentsOnRealImagesNeedNoGeneration) {
  ExperimentSettings s = with_plan();
  s.plan.fakes = {"none", "equal"};
  for (const auto& [name, stage] : graph(s))
    EXPECT_TRUE(stage.labels.at("role") == "teacher" || stage.labels.at("role") == "student")
        << name;
}

TEST(Plan, TheJudgeIsTrainedOnceMore) {
  ExperimentSettings s = with_plan();
  s.plan.judge = "densenet121";
  const auto stages = graph(s);
  EXPECT_TRUE(stages.contains("teacher.densenet121"));
  const auto& needs = stages.at("fakes").needs;
  EXPECT_TRUE(std::count(needs.begin(), needs.end(), "teacher.densenet121"));
}

TEST(Plan, APreparationThatTrainsTheStudentExistsOncePerPhase) {
  ExperimentSettings s;
  s.plan.pairs = {"resnet14 > resnet8"};
  s.plan.methods = {"none", "ab", "ft"};
  s.plan.fakes = {"none", "m2", "equal"};
  s.plan.seeds = {1};
  expect_a_graph(s);
  const auto stages = graph(s);
  const auto needs = [&](const std::string& stage, const std::string& need) {
    const auto& all = stages.at(stage + ".resnet14-resnet8.s1").needs;
    return std::count(all.begin(), all.end(), need) == 1;
  };
  const std::string pair = ".resnet14-resnet8.s1", before = "nokd.resnet8.s1";
  EXPECT_TRUE(needs("ab", "ab_init" + pair));
  EXPECT_FALSE(needs("ab_init", before));
  EXPECT_TRUE(needs("cgankd_ab", "cgankd_ab_init" + pair));
  EXPECT_TRUE(needs("cgankd_ab_init", before) && needs("cgankd_ab_init", "fakes"));
  EXPECT_TRUE(needs("ab_equal", "ab_equal_init" + pair) && needs("ab_equal_init", before));
  for (const char* student : {"ft", "cgankd_ft", "ft_equal"})
    EXPECT_TRUE(needs(student, "ft_paraphraser" + pair)) << student;
  EXPECT_EQ(
      std::count_if(stages.begin(), stages.end(),
                    [](const auto& s) { return s.second.labels.at("role") == "preparation"; }),
      4);
  ExperimentSettings longer = s;
  SetField<int64_t>(longer.methods.at("ab"), "init.epochs", int64_t{7});
  EXPECT_NE(graph(longer).at("ab_init" + pair).settings, stages.at("ab_init" + pair).settings);
}

/// cGAN-KD + SSKD begins with the SSKD student, all other second phases with the one that nobody
/// taught, which is only there when one of them needs it.
TEST(Plan, ASecondPhaseBeginsWhereItsMethodSays) {
  ExperimentSettings s;
  s.plan.pairs = {"resnet14 > resnet8"};
  s.plan.methods = {"sskd", "crd"};
  s.plan.fakes = {"m2"};
  s.plan.seeds = {1};
  expect_a_graph(s);
  const std::string pair = ".resnet14-resnet8.s1", nobody = "nokd.resnet8.s1";
  const auto needs = [&](const auto& stages, const std::string& stage, const std::string& need) {
    const auto& all = stages.at(stage + pair).needs;
    return std::count(all.begin(), all.end(), need) == 1;
  };
  const auto both = graph(s);
  EXPECT_TRUE(needs(both, "cgankd_sskd", "sskd" + pair));
  EXPECT_FALSE(needs(both, "cgankd_sskd", nobody));
  EXPECT_TRUE(needs(both, "cgankd_crd", nobody));
  EXPECT_FALSE(both.contains("crd" + pair));
  s.plan.methods = {"sskd"};
  EXPECT_FALSE(graph(s).contains(nobody));
  SetField<std::string>(s.methods.at("sskd"), "second_phase", "nokd");
  const auto as_others = graph(s);
  EXPECT_TRUE(needs(as_others, "cgankd_sskd", nobody));
  EXPECT_FALSE(as_others.contains("sskd" + pair));
}

/// The stages whose own settings text changes.
std::set<std::string> touched(const ExperimentSettings& changed,
                              const ExperimentSettings& settings = {}) {
  std::set<std::string> names;
  const auto before = graph(settings), after = graph(changed);
  for (const auto& [name, stage] : before)
    if (stage.settings != after.at(name).settings) names.insert(name);
  return names;
}

TEST(Workflow, AChangedSettingTouchesOnlyTheStagesThatReadIt) {
  ExperimentSettings s;
  s.gan.steps += 1;
  EXPECT_EQ(touched(s), (std::set<std::string>{"gan"}));
  s = {};
  s.fakes.filter_burn_in += 1;
  EXPECT_EQ(touched(s), (std::set<std::string>{"fakes"}));
  s = {};
  s.fakes.sampling.burn_in += 1;
  EXPECT_EQ(touched(s), (std::set<std::string>{"fakes", "fakes_m1"}));
  s = {};
  s.fakes.sampling.batch += 1;
  EXPECT_EQ(touched(s), (std::set<std::string>{"fakes", "fakes_m1", "fakes_raw"}));
  s = {};
  s.fakes.rho = 0.8;
  EXPECT_EQ(touched(s), (std::set<std::string>{"fakes", "evaluate"}));
  s = {};
  s.transfer.epochs += 1;
  EXPECT_EQ(touched(s), (std::set<std::string>{"nokd_equal", "cgankd", "cgankd_blkd"}));
  s = {};
  SetField<double>(s.methods.at("blkd"), "temperature", 5.0);
  EXPECT_EQ(touched(s), (std::set<std::string>{"blkd", "cgankd_blkd"}));
  s = {};
  SetField<double>(s.methods.at("fitnet"), "temperature", 5.0);
  EXPECT_EQ(touched(s), std::set<std::string>{}) << "another method's settings matter to no stage";
  const auto equal_steps = [](int64_t per_class) {
    ExperimentSettings w;
    w.ablation = true;
    w.fakes.per_class = per_class;
    return graph(w).at("blkd_equal").settings;
  };
  EXPECT_NE(equal_steps(10), equal_steps(11));
  s = {};
  s.seed += 1;
  EXPECT_EQ(touched(s).size(), graph({}).size());
}

TEST(Workflow, SettingsWithoutInfluenceTouchNothing) {
  const std::vector<std::pair<const char*, std::function<void(ExperimentSettings&)>>> changes = {
      {"gan.loader_threads", [](auto& s) { s.gan.loader_threads = 3; }},
      {"gan.sample_every", [](auto& s) { s.gan.sample_every = 7; }},
      {"gan.health_every", [](auto& s) { s.gan.health_every = 7; }},
      {"gan.loss_bound", [](auto& s) { s.gan.loss_bound = 7; }},
      {"gan.vicinity", [](auto& s) { s.gan.vicinity.kappa = 7, s.gan.vicinity.type = "hard"; }},
      {"gan.regression.slack", [](auto& s) { s.gan.regression.slack = 7; }},
      {"gan.negatives", [](auto& s) { s.gan.negatives.poor_from = 77; }},
      {"teacher.evaluate_every", [](auto& s) { s.teacher.evaluate_every = 7; }},
      {"student.evaluate_every", [](auto& s) { s.student.evaluate_every = 7; }},
      {"transfer.evaluate_every", [](auto& s) { s.transfer.evaluate_every = 7; }},
      {"features.evaluate_every", [](auto& s) { s.features.evaluate_every = 7; }},
      {"ratio.restarts", [](auto& s) { s.ratio.restarts = 7; }},
      {"fakes.sampling.max_batches", [](auto& s) { s.fakes.sampling.max_batches = 7; }},
      {"data.path", [](auto& s) { s.data.path = "elsewhere"; }},
      {"data.resize", [](auto& s) { s.data.resize = "crop"; }},
      {"plan.with_fakes", [](auto& s) { s.plan.with_fakes = {"blkd"}; }},
      {"logits", [](auto& s) { s.logits.views = 3; }}};
  for (const auto& [key, change] : changes) {
    ExperimentSettings s;
    change(s);
    EXPECT_EQ(touched(s), std::set<std::string>{}) << key;
  }
  ExperimentSettings s;
  SetField<bool>(s.methods.at("semckd"), "na_pairs", true);
  s.distillation.method = "semckd";
  ExperimentSettings plain;
  plain.distillation.method = "semckd";
  EXPECT_EQ(graph(s).at("semckd").settings, graph(plain).at("semckd").settings);
}

TEST(Workflow, WhatAnotherSettingSwitchesOffHasNoInfluence) {
  const auto same = [](const char* stage, auto&& first, auto&& second) {
    ExperimentSettings a, b;
    first(a), first(b), second(b);
    return graph(a).at(stage).settings == graph(b).at(stage).settings;
  };
  const auto constant = [](auto& s) { s.teacher.milestones = {}; };
  EXPECT_TRUE(same("teacher", constant, [](auto& s) { s.teacher.lr_factor = 0.5; }));
  EXPECT_TRUE(same("teacher", constant, [](auto& s) { s.teacher.late_drop = false; }));
  EXPECT_FALSE(same(
      "teacher", [](auto&) {}, [](auto& s) { s.teacher.lr_factor = 0.5; }));
  const auto unfiltered = [](auto& s) { s.fakes.filter = false; };
  EXPECT_TRUE(same("fakes", unfiltered, [](auto& s) { s.fakes.rho = 0.5; }));
  EXPECT_TRUE(same("fakes", unfiltered, [](auto& s) { s.fakes.augment_filter = false; }));
  const auto plain = [](auto& s) { s.fakes.subsample = false; };
  EXPECT_TRUE(same("fakes", plain, [](auto& s) { s.fakes.sampling.burn_in = 50; }));
  EXPECT_FALSE(same("fakes", plain, [](auto& s) { s.fakes.sampling.batch = 50; }));
  EXPECT_TRUE(same(
      "fakes_raw", [](auto&) {}, [](auto& s) { s.fakes.sampling.burn_in = 50; }));
  EXPECT_TRUE(same(
      "nokd_equal", [](auto&) {}, [](auto& s) { s.transfer.recompute_standardisation = false; }));
  EXPECT_FALSE(same(
      "cgankd", [](auto&) {}, [](auto& s) { s.transfer.recompute_standardisation = false; }));
}

TEST(Workflow, DefaultsAreThePublishedRecipe) {
  const ExperimentSettings s;
  EXPECT_EQ(s.student.epochs, 240);
  EXPECT_EQ(s.student.milestones, (std::vector<double>{150, 180, 210}));
  EXPECT_DOUBLE_EQ(s.student.lr, 0.05);
  EXPECT_TRUE(s.student.late_drop);
  EXPECT_DOUBLE_EQ(s.transfer.lr, 0.01);
  EXPECT_EQ(s.transfer.batch, 128);
  EXPECT_EQ(s.features.epochs, 350);
  EXPECT_FALSE(s.features.late_drop);
  EXPECT_DOUBLE_EQ(s.fakes.rho, 0.9);
  EXPECT_DOUBLE_EQ(s.ratio.lambda, 0.01);
  EXPECT_DOUBLE_EQ(create_method("blkd", s.methods)->weights().soft_weight, 0.9);
  EXPECT_DOUBLE_EQ(create_method("fitnet", s.methods)->weights().soft_weight, 1);
}

// --- responses -----------------------------------------------------------------------------------

TEST(Regression, HasItsOwnStagesAndNoneOfTheClasses) {
  expect_a_graph(with_responses());
  const auto stages = graph(with_responses());
  for (const char* name :
       {"teacher", "nokd", "nokd_equal", "fitnet", "embedding", "label_embedding", "gan",
        "autoencoder", "ratio", "fakes", "cgankd", "cgankd_fitnet", "evaluate"})
    EXPECT_TRUE(stages.contains(name)) << name;
  EXPECT_FALSE(stages.contains("features"));
  EXPECT_EQ(stages.at("gan").needs, (std::vector<std::string>{"label_embedding"}));
  EXPECT_EQ(stages.at("fakes").labels.at("task"), "regression");
}

// Where responses enter the GAN as they are, only the ratio needs them embedded.
TEST(Regression, ANaiveGanWaitsForNoEmbeddingButItsRatioDoes) {
  ExperimentSettings s = with_responses();
  s.gan.arch = "sngan-nli";
  expect_a_graph(s);
  const auto stages = graph(s);
  EXPECT_EQ(stages.at("gan").needs, (std::vector<std::string>{}));
  EXPECT_EQ(stages.at("ratio").needs,
            (std::vector<std::string>{"gan", "autoencoder", "label_embedding"}));
  const auto needs = [&](const char* name, const char* need) {
    const auto& all = stages.at(name).needs;
    return std::find(all.begin(), all.end(), need) != all.end();
  };
  EXPECT_TRUE(needs("fakes", "label_embedding") && needs("fakes_m1", "label_embedding"));
  EXPECT_FALSE(needs("fakes_raw", "label_embedding"));
}

TEST(Regression, ASweptSetBehindANaiveGanNeedsTheEmbeddingToo) {
  ExperimentSettings s = with_responses();
  s.gan.arch = "sngan-nli";
  s.plan.pairs = {"resnet20 > resnet8"};
  s.plan.methods = {"none"};
  s.plan.rhos = {0.5};
  EXPECT_EQ(graph(s).at("fakes_rho0.5").needs, graph(s).at("fakes").needs);
}

TEST(Regression, SectionsOfResponsesTouchOnlyStagesOfResponses) {
  ExperimentSettings s = with_responses();
  s.label_embedding.noise = 0.1;
  EXPECT_EQ(touched(s, with_responses()), (std::set<std::string>{"label_embedding"}));
  s = with_responses();
  s.autoencoder.sparsity = 0.1;
  EXPECT_EQ(touched(s, with_responses()), (std::set<std::string>{"autoencoder"}));
  s = with_responses();
  s.fake_responses.count = 7;
  EXPECT_EQ(touched(s, with_responses()),
            (std::set<std::string>{"fakes", "fakes_m1", "fakes_raw", "nokd_equal"}));
  s = with_responses();
  s.response_evaluation.radius = 2;
  EXPECT_EQ(touched(s, with_responses()), (std::set<std::string>{"evaluate"}));
  ExperimentSettings classes;
  classes.label_embedding.noise = 0.1, classes.autoencoder.sparsity = 0.1,
  classes.fake_responses.count = 7, classes.response_evaluation.radius = 2,
  classes.embedding.epochs = 3;
  EXPECT_EQ(touched(classes), (std::set<std::string>{}));
}

TEST(Regression, WithoutAMethodOnlyStudentsWithoutATeacherAreLeft) {
  ExperimentSettings s = with_responses();
  s.distillation.method = "none";
  for (const auto& [name, stage] : graph(s))
    if (stage.labels.at("role") == "student") {
      EXPECT_EQ(stage.labels.at("method"), "none") << name;
    }
}

}  // namespace
}  // namespace limbeck::kd
