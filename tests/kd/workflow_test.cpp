#include "kd/workflow.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include "kd/checkpoint.h"
#include "tests/data/temporary.h"
#include "tests/kd/method_settings.h"

namespace limbeck::kd {
namespace {

std::map<std::string, Stage> graph(const ExperimentSettings& s) {
  std::map<std::string, Stage> by_name;
  for (const Stage& stage : Workflow(s).stages()) by_name.emplace(stage.name, stage);
  return by_name;
}

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
std::set<std::string> touched(const ExperimentSettings& changed) {
  std::set<std::string> names;
  const auto before = graph({}), after = graph(changed);
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

template <class Change>
std::string message_of(Change&& change, bool with_data = false) {
  ExperimentSettings s;
  for (const char* part : {"train", "test"})
    SetField<int64_t>(s.data.sources.at("shapes"), part, int64_t{20});
  s.gan.batch = 16;
  change(s);
  try {
    const Workflow workflow(s);
    if (with_data) workflow.check_data();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}
#define EXPECT_MESSAGE(text, ...) \
  EXPECT_NE(message_of(__VA_ARGS__).find(text), std::string::npos) << message_of(__VA_ARGS__)

TEST(Workflow, WrongNamesAndValuesAreRefusedBeforeAnythingRuns) {
  EXPECT_MESSAGE("student.model", [](auto& s) { s.student.model = "resnt8"; });
  EXPECT_MESSAGE("'resnet8'", [](auto& s) { s.student.model = "resnt8"; });
  EXPECT_MESSAGE("distillation.method", [](auto& s) { s.distillation.method = "blk"; });
  EXPECT_MESSAGE("ratio.net", [](auto& s) { s.ratio.net = "MLP4"; });
  EXPECT_MESSAGE("fakes.form", [](auto& s) { s.fakes.form = "x"; });
  EXPECT_MESSAGE("evaluation.network", [](auto& s) { s.evaluation.network = "x"; });
  EXPECT_MESSAGE("transfer.batch", [](auto& s) { s.transfer.batch = 0; });
  EXPECT_MESSAGE("teacher.milestones", [](auto& s) { s.teacher.milestones = {3, 1}; });
  EXPECT_MESSAGE("plan.pairs: expected \"TEACHER > STUDENT\"",
                 [](auto& s) { s.plan.pairs = {"resnet20 resnet8"}; });
  EXPECT_MESSAGE("plan.pairs: unknown network 'resnt8'; did you mean 'resnet8'?",
                 [](auto& s) { s.plan.pairs = {"resnet20 > resnt8"}; });
  EXPECT_MESSAGE("plan.methods", [](auto& s) {
    s.plan.pairs = {"resnet20 > resnet8"}, s.plan.methods = {"fitnt"};
  });
  EXPECT_MESSAGE("plan.fakes",
                 [](auto& s) { s.plan.pairs = {"resnet20 > resnet8"}, s.plan.fakes = {"m3"}; });
  EXPECT_MESSAGE("plan.seeds", [](auto& s) {
    s.plan.pairs = {"resnet20 > resnet8"}, s.plan.seeds = {1, 1};
  });
  EXPECT_MESSAGE("plan.judge",
                 [](auto& s) { s.plan.pairs = {"resnet20 > resnet8"}, s.plan.judge = "x"; });
}

TEST(Workflow, EverySectionsValuesAreToldTogether) {
  const auto wrong = [](auto& s) {
    s.gan.augment = "colour", s.gan.d_steps = 0, s.gan.beta1 = 1, s.teacher.lr = -1,
    s.ratio.dropout = 2, s.features.net.blocks = {}, s.fakes.sampling.batch = 0;
    SetField<int64_t>(s.methods.at("sskd"), "head_epochs", int64_t{0});
  };
  for (const char* part :
       {"gan.augment: DiffAugment: unknown policy 'colour'", "gan.d_steps: expected at least 1",
        "gan.beta1", "teacher.lr", "ratio.dropout", "features.net.blocks", "fakes.sampling.batch",
        "methods.sskd.head_epochs"})
    EXPECT_MESSAGE(part, wrong);
}

TEST(Workflow, ValuesOutOfRangeAreRefusedBeforeAnythingRuns) {
  EXPECT_MESSAGE("gan.arch: no architecture 'bigan'; did you mean 'biggan'",
                 [](auto& s) { s.gan.arch = "bigan"; });
  EXPECT_MESSAGE("gan.batch: expected at least 2", [](auto& s) { s.gan.batch = 1; });
  EXPECT_MESSAGE("gan.steps", [](auto& s) { s.gan.steps = -1; });
  EXPECT_MESSAGE("gan.g_lr", [](auto& s) { s.gan.g_lr = std::nan(""); });
  EXPECT_MESSAGE("gan.ema_decay", [](auto& s) { s.gan.ema_decay = 1.5; });
  EXPECT_MESSAGE("gan.init", [](auto& s) { s.gan.init = "orthogonal"; });
  EXPECT_MESSAGE("gan.loss", [](auto& s) { s.gan.loss = "x"; });
  EXPECT_MESSAGE("gan.vicinity.type", [](auto& s) { s.gan.vicinity.type = "x"; });
  EXPECT_MESSAGE("gan.g_attention", [](auto& s) { s.gan.g_attention = "32,16"; });
  EXPECT_MESSAGE("student.batch: expected at least 2", [](auto& s) { s.student.batch = 1; });
  EXPECT_MESSAGE("student.evaluate_every", [](auto& s) { s.student.evaluate_every = -1; });
  EXPECT_MESSAGE("ratio.milestones", [](auto& s) { s.ratio.milestones = {3, 2}; });
  EXPECT_MESSAGE("transfer.fakes", [](auto& s) { s.transfer.fakes = -1; });
  EXPECT_MESSAGE("fakes.adjust", [](auto& s) { s.fakes.filter = false, s.fakes.adjust = true; });
}

TEST(Workflow, WhatDoesNotFitTheDataIsRefusedBeforeAnythingRuns) {
  EXPECT_EQ(message_of([](auto&) {}, true), "");
  EXPECT_MESSAGE(
      "gan.batch: expected 1 to 20 (the number of training images), found 64",
      [](auto& s) { s.gan.batch = 64; }, true);
  EXPECT_MESSAGE("BigGAN: makes images of 32, 64 or 128 pixels (data.image_size), found 40",
                 ([](auto& s) { s.data.image_size = 40; }), true);
  EXPECT_MESSAGE(
      "gan.g_attention: no block of biggan for images of 32 pixels ends at 64; expected "
      "some of 8, 16, 32",
      ([](auto& s) { s.gan.g_attention = "16_64"; }), true);
  EXPECT_MESSAGE("gan.d_attention: no block of biggan for images of 32 pixels ends at 32",
                 ([](auto& s) { s.gan.d_attention = "32"; }), true);
  EXPECT_EQ(message_of(([](auto& s) {
                         s.gan.g_ch = s.gan.d_ch = 8, s.gan.g_attention = "16_32",
                         s.gan.d_attention = "16";
                       }),
                       true),
            "");
  EXPECT_MESSAGE("student.crop_padding", ([](auto& s) { s.student.crop_padding = 32; }), true);
  EXPECT_MESSAGE("student.batch: expected at most 20",
                 ([](auto& s) { s.distillation.method = "semckd"; }), true);
  EXPECT_MESSAGE(
      "fakes.rho: 0.01 keeps none",
      ([](auto& s) { s.fakes.form = "paper", s.fakes.rho = 0.01, s.fakes.per_class = 10; }), true);
  EXPECT_MESSAGE("evaluation.reference: test", ([](auto& s) {
                   s.evaluation.reference = "test";
                   SetField<int64_t>(s.data.sources.at("shapes"), "test", int64_t{1});
                 }),
                 true);
}

/// What only stages need that are not chosen keeps nobody from the others.
TEST(Workflow, ChecksAreOfTheChosenStages) {
  ExperimentSettings s;
  s.data.image_size = 40;
  for (const char* part : {"train", "test"})
    SetField<int64_t>(s.data.sources.at("shapes"), part, int64_t{20});
  const Workflow workflow(s);
  const DiskUse use = workflow.check_data({"teacher", "nokd"});
  EXPECT_GT(use.kept, 1 << 20);
  EXPECT_GT(use.passing, use.kept);
  EXPECT_THROW(workflow.check_data({"teacher", "gan"}), Error);
}

TEST(Workflow, AMilestoneBehindTheEndIsRemarked) {
  ExperimentSettings s;
  EXPECT_EQ(Workflow(s).remarks(), std::vector<std::string>{});
  s.student.epochs = 180;
  s.embedding.epochs = 1;  // of responses
  const auto remarks = Workflow(s).remarks();
  ASSERT_EQ(remarks.size(), 1u);
  EXPECT_EQ(remarks[0].rfind("student.milestones: 180 is never reached in 180 epochs", 0), 0u);
}

class Inputs : public ::testing::Test {
 protected:
  Inputs() {
    std::filesystem::create_directory(folder_.file("set"));
    for (const char* name : {"a", "b", "c"})
      folder_.write(cat("set/", name, ".ppm"), cat("P6\n8 8\n255\n", std::string(192, name[0])));
    label("0", "1");
  }
  void label(const char* first, const char* second) {
    folder_.write("set/labels.csv", cat("file,class,split\na.ppm,", first, ",train\nb.ppm,", second,
                                        ",train\nc.ppm,0,test\n"));
  }
  std::string teacher_text(const std::string& path, KnownIdentities known = {}) {
    ExperimentSettings s;
    s.data.kind = "folder", s.data.path = path;
    Workflow workflow(s);
    workflow.read_inputs(known);
    return workflow.stages()[0].settings;
  }
  const test::TemporaryFolder folder_;
};

TEST_F(Inputs, DataBelongToTheFingerprintTheirNameDoesNot) {
  const std::string set = folder_.file("set"), before = teacher_text(set);
  EXPECT_NE(before.find("data.content = \"2 + 1 images, "), std::string::npos) << before;
  EXPECT_EQ(teacher_text(set + "/"), before);
  EXPECT_EQ(teacher_text(folder_.path() + "/./set/../set"), before);
  std::filesystem::copy(set, folder_.file("copy"));
  EXPECT_EQ(teacher_text(folder_.file("copy")), before);
  folder_.write("set/notes.txt", "no image");
  EXPECT_EQ(teacher_text(set), before) << "what is not read does not count";
  label("1", "0");
  EXPECT_NE(teacher_text(set), before);
  label("0", "1");
  EXPECT_EQ(teacher_text(set), before);
  folder_.write("set/a.ppm", cat("P6\n8 8\n255\n", std::string(192, 'x')));
  EXPECT_NE(teacher_text(set), before);
}

TEST_F(Inputs, WhatIsKnownIsNotReadAgain) {
  KnownIdentities known;
  int reads = 0;
  const auto read = [&] { return ++reads, std::string("identity"); };
  EXPECT_EQ(known.find("state", true, read), "identity");
  EXPECT_EQ(known.find("state", false, read), "identity") << "fresh ones are not remembered";
  EXPECT_EQ(reads, 2);
  EXPECT_EQ(known.find("state", false, read), "identity");
  EXPECT_EQ(reads, 2);
  known.find("another state", false, read);
  EXPECT_EQ(reads, 3);
}

TEST_F(Inputs, DataThatChangeUnderARunAreNoticed) {
  ExperimentSettings s;
  s.data.kind = "folder", s.data.path = folder_.file("set");
  KnownIdentities known;
  Workflow first(s);
  first.read_inputs(known);
  Experiment later(s, cpu);
  label("1", "0");
  const std::string text = first.stages()[0].settings, key = "data.content = \"";
  later.expect_data(text.substr(key.size(), text.find('\n') - key.size() - 1));
  EXPECT_THROW(later.data(), Error);
  label("0", "1");
  EXPECT_EQ(later.data().train.size(), 2);
}

TEST_F(Inputs, FilesInThePlaceOfStagesBelongToTheFingerprint) {
  const auto text = [&](const std::string& path) {
    ExperimentSettings s;
    s.plan.pairs = {"resnet14 > resnet8"}, s.plan.teachers = path;
    Workflow workflow(s);
    KnownIdentities known;
    workflow.read_inputs(known);
    return workflow.stages()[0].settings;
  };
  const std::string a = folder_.write("a.safetensors", "one"),
                    b = folder_.write("b.safetensors", "one");
  const std::string before = text(a);
  EXPECT_NE(before.find("plan.teachers = \"3 bytes, "), std::string::npos) << before;
  EXPECT_EQ(text(b), before);
  folder_.write("a.safetensors", "two");
  EXPECT_NE(text(a), before);
  test::expect_error([&] { text(folder_.file("none.safetensors")); },
                     {"plan.teachers: ", "none.safetensors: expected a file, found none"});
}

TEST(Workflow, PairsThatAMethodCannotServeAreAllToldBeforeAnythingRuns) {
  const auto change = [](auto& s) {
    s.plan.pairs = {"densenet121 > resnet8", "resnet20 > resnet8", "efficientnetb0 > wrn_16_1"};
    s.plan.methods = {"none", "blkd", "fitnet"};
  };
  const std::string message = message_of(change, true);
  EXPECT_NE(message.find("densenet121 > resnet8: fitnet: the teacher has no map"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("efficientnetb0 > wrn_16_1: fitnet"), std::string::npos) << message;
  EXPECT_EQ(message.find("resnet20 > resnet8"), std::string::npos) << message;
  EXPECT_EQ(message.find("blkd"), std::string::npos) << message;
  EXPECT_EQ(message_of([](auto&) {}, true), "");
}

/// The paper's NA entries, by the networks themselves.
TEST(Workflow, SupportMatrix) {
  const auto refused = [](const std::string& pair, const std::vector<std::string>& methods) {
    std::set<std::string> names;
    const std::string all =
        message_of([&](auto& s) { s.plan.pairs = {pair}, s.plan.methods = methods; }, true);
    for (const std::string& method : methods)
      if (all.find(pair + ": " + method + ": ") != std::string::npos) names.insert(method);
    EXPECT_EQ(names.empty(), all.empty()) << all;
    return names;
  };
  using Names = std::set<std::string>;
  const std::vector<std::string> methods = {"blkd", "fitnet", "at",  "sp", "vid", "rkd",  "pkt",
                                            "nst",  "cc",     "fsp", "ab", "ft",  "kdsvd"};
  EXPECT_EQ(refused("resnet14 > resnet8", methods), Names{});
  EXPECT_EQ(refused("vgg13 > vgg8", methods), Names{});
  EXPECT_EQ(refused("wrn_16_2 > wrn_16_1", methods), (Names{"fsp", "kdsvd"}));
  EXPECT_EQ(refused("wrn_16_2 > vgg8", methods), (Names{"ab", "fsp", "kdsvd"}));
  EXPECT_EQ(refused("wrn_16_2 > MobileNetV2", methods), (Names{"ab", "fsp", "kdsvd"}));
  EXPECT_EQ(refused("resnet8x4 > ShuffleV2", methods), (Names{"fsp", "kdsvd"}));
  EXPECT_EQ(refused("ResNet18 > ShuffleV1", methods), (Names{"ab", "fsp", "kdsvd"}));
  Names all(methods.begin(), methods.end());
  all.erase("blkd");
  EXPECT_EQ(refused("densenet121 > resnet8", methods), all);
}

TEST(Workflow, SupportMatrixOfMethodsWithHeads) {
  const auto refused = [](const std::string& pair, const std::vector<std::string>& methods,
                          int64_t side = 32, bool na_pairs = false) {
    std::set<std::string> names;
    const std::string all = message_of(
        [&](auto& s) {
          s.plan.pairs = {pair}, s.plan.methods = methods, s.plan.fakes = {"none"};
          s.data.kind = "shapes", s.data.image_size = side;
          for (const char* m : {"reviewkd", "semckd"})
            SetField<bool>(s.methods.at(m), "na_pairs", na_pairs);
          for (const char* part : {"train", "test"})
            SetField<int64_t>(s.data.sources.at("shapes"), part, int64_t{80});
        },
        true);
    for (const std::string& method : methods)
      if (all.find(pair + ": " + method + ": ") != std::string::npos) names.insert(method);
    EXPECT_EQ(names.empty(), all.empty()) << all;
    return names;
  };
  using Names = std::set<std::string>;
  const std::vector<std::string> methods = {"reviewkd", "semckd", "simkd", "crd", "sskd", "dkd"};
  EXPECT_EQ(refused("resnet32x4 > resnet20", methods), Names{"reviewkd"});
  EXPECT_EQ(refused("resnet32x4 > resnet20", methods, 32, true), Names{});
  EXPECT_EQ(refused("resnet110 > resnet20", methods), Names{"semckd"});
  EXPECT_EQ(refused("ResNet50 > vgg8", {"reviewkd", "ab", "fitnet"}), Names{"reviewkd"});
  EXPECT_EQ(refused("wrn_40_2 > vgg8", {"reviewkd", "ab", "crd"}), (Names{"reviewkd", "ab"}));
  EXPECT_EQ(refused("ResNet50 > ShuffleV1", {"reviewkd", "ab"}), (Names{"reviewkd", "ab"}));
  EXPECT_EQ(refused("densenet121 > vgg8", methods),
            (Names{"reviewkd", "semckd", "simkd", "crd", "sskd"}));
  EXPECT_EQ(
      refused("vgg19 > ShuffleV1", {"fitnet", "vid", "rkd", "crd", "sskd", "semckd", "simkd"}, 128),
      Names{"fitnet"});
}

// --- responses -----------------------------------------------------------------------------------

ExperimentSettings with_responses() {
  ExperimentSettings s;
  s.task = "regression";
  s.gan.arch = "sagan";
  s.data.kind = "bars";
  for (const char* part : {"train", "test"})
    SetField<int64_t>(s.data.sources.at("bars"), part, int64_t{20});
  s.distillation.method = "fitnet";
  s.teacher.model = "resnet14";
  s.embedding.net = "ResNet18_embed";
  return s;
}

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

std::set<std::string> touched_of_responses(const ExperimentSettings& changed) {
  std::set<std::string> names;
  const auto before = graph(with_responses()), after = graph(changed);
  for (const auto& [name, stage] : before)
    if (stage.settings != after.at(name).settings) names.insert(name);
  return names;
}

TEST(Regression, SectionsOfResponsesTouchOnlyStagesOfResponses) {
  ExperimentSettings s = with_responses();
  s.label_embedding.noise = 0.1;
  EXPECT_EQ(touched_of_responses(s), (std::set<std::string>{"label_embedding"}));
  s = with_responses();
  s.autoencoder.sparsity = 0.1;
  EXPECT_EQ(touched_of_responses(s), (std::set<std::string>{"autoencoder"}));
  s = with_responses();
  s.fake_responses.count = 7;
  EXPECT_EQ(touched_of_responses(s),
            (std::set<std::string>{"fakes", "fakes_m1", "fakes_raw", "nokd_equal"}));
  s = with_responses();
  s.response_evaluation.radius = 2;
  EXPECT_EQ(touched_of_responses(s), (std::set<std::string>{"evaluate"}));
  ExperimentSettings classes;
  classes.label_embedding.noise = 0.1, classes.autoencoder.sparsity = 0.1,
  classes.fake_responses.count = 7, classes.response_evaluation.radius = 2,
  classes.embedding.epochs = 3;
  EXPECT_EQ(touched(classes), (std::set<std::string>{}));
}

template <class Change>
std::string message_of_responses(Change&& change) {
  ExperimentSettings s = with_responses();
  change(s);
  try {
    Workflow(s).check_data();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}
#define EXPECT_RESPONSE_MESSAGE(text, ...)                                   \
  EXPECT_NE(message_of_responses(__VA_ARGS__).find(text), std::string::npos) \
      << message_of_responses(__VA_ARGS__)

TEST(Regression, WhatCannotFinishIsRefusedBeforeAnythingRuns) {
  EXPECT_EQ(message_of_responses([](auto&) {}), "");
  EXPECT_RESPONSE_MESSAGE("task: the training images have responses",
                          [](auto& s) { s.task = "classification", s.gan.arch = "biggan"; });
  EXPECT_RESPONSE_MESSAGE("task: expected classification or regression",
                          [](auto& s) { s.task = "x"; });
  EXPECT_RESPONSE_MESSAGE("gan.arch", [](auto& s) { s.gan.arch = "biggan"; });
  EXPECT_RESPONSE_MESSAGE("ratio.net", [](auto& s) { s.ratio.net = "MLP9"; });
  EXPECT_RESPONSE_MESSAGE("autoencoder.lr", [](auto& s) { s.autoencoder.lr = 0; });
  EXPECT_RESPONSE_MESSAGE("label_embedding.batch", [](auto& s) { s.label_embedding.batch = 0; });
  EXPECT_RESPONSE_MESSAGE("embedding.epochs", [](auto& s) { s.embedding.epochs = 0; });
  EXPECT_RESPONSE_MESSAGE("expected an embedding network",
                          [](auto& s) { s.embedding.net = "resnet8"; });
  EXPECT_RESPONSE_MESSAGE("fake_responses.count", [](auto& s) { s.fake_responses.count = 1; });
  EXPECT_RESPONSE_MESSAGE("fakes.rho", [](auto& s) { s.fakes.rho = 0; });
  EXPECT_RESPONSE_MESSAGE("gan.vicinity.type", [](auto& s) { s.gan.vicinity.type = "x"; });
  EXPECT_RESPONSE_MESSAGE("data.image_size", [](auto& s) { s.data.image_size = 48; });
  EXPECT_RESPONSE_MESSAGE("distillation.method: resnet14 > resnet8: blkd",
                          [](auto& s) { s.distillation.method = "blkd"; });
}

TEST(Regression, WithoutAMethodOnlyStudentsWithoutATeacherAreLeft) {
  ExperimentSettings s = with_responses();
  s.distillation.method = "none";
  for (const auto& [name, stage] : graph(s))
    if (stage.labels.at("role") == "student") {
      EXPECT_EQ(stage.labels.at("method"), "none") << name;
    }
  EXPECT_EQ(message_of_responses([](auto& x) { x.distillation.method = "none"; }), "");
}

class SavedNetworks : public ::testing::Test {
 protected:
  const test::TemporaryFolder folder_;
};

TEST_F(SavedNetworks, ComeBackAsTheyWere) {
  const nn::ModelOptions options{.outputs = 7, .channels = 1, .size = 32};
  const auto net = nn::create_model("resnet8", options);
  net->initialise(Stream(3));
  const data::Standardisation standardisation{{0.1234567890123456789}, {1.0 / 3}};
  const std::string path = folder_.file("model.safetensors");
  save_network(path, *net, "resnet8", options, standardisation);
  const SavedNetwork saved = load_network(path);
  EXPECT_EQ(saved.name, "resnet8");
  EXPECT_EQ(saved.options.outputs, 7);
  EXPECT_EQ(saved.standardisation.mean, standardisation.mean);
  EXPECT_EQ(saved.standardisation.deviation, standardisation.deviation);
  const auto a = net->parameters(), b = saved.network->parameters();
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_EQ(a[i].value.data().to_vector<float>(), b[i].value.data().to_vector<float>())
        << a[i].name;
}

TEST_F(SavedNetworks, RegressorsComeBackAsRegressors) {
  const nn::ModelOptions options{
      .outputs = 1, .channels = 1, .size = 32, .task = nn::Task::regression};
  const auto net = nn::create_model("resnet8", options);
  const std::string path = folder_.file("model.safetensors");
  save_network(path, *net, "resnet8", options, {{0.5}, {1}});
  EXPECT_EQ(load_network(path).options.task, nn::Task::regression);
  TensorFile file = read_safetensors(path);
  file.metadata.erase("task");  // a file from before tasks were written holds a classifier
  write_safetensors(path, file);
  EXPECT_THROW(load_network(path), Error);
  const nn::ModelOptions classes{.outputs = 2, .channels = 1, .size = 32};
  save_network(path, *nn::create_model("resnet8", classes), "resnet8", classes, {{0.5}, {1}});
  file = read_safetensors(path);
  file.metadata.erase("task");
  write_safetensors(path, file);
  EXPECT_EQ(load_network(path).options.task, nn::Task::classification);
}

TEST_F(SavedNetworks, RegressorsKeepTheirScale) {
  const nn::ModelOptions options{
      .outputs = 1, .channels = 1, .size = 32, .task = nn::Task::regression};
  const auto net = nn::create_model("resnet8", options);
  const std::string path = folder_.file("model.safetensors");
  const data::ResponseScale scale{-88.13, 97.92, "degrees"};
  save_network(path, *net, "resnet8", options, {{0.5}, {0.5}}, scale);
  EXPECT_EQ(load_network(path).scale, scale);
  save_network(path, *net, "resnet8", options, {{0.5}, {0.5}});
  EXPECT_FALSE(load_network(path).scale) << "of a converted network nobody knows";
  save_network(path, *net, "resnet8", options, {{0.5}, {0.5}}, data::ResponseScale{3, 3, ""});
  EXPECT_THROW(load_network(path), Error);
}

TEST_F(SavedNetworks, OfAnotherKindAreRefusedByName) {
  const nn::ModelOptions options{.outputs = 10, .channels = 3, .size = 32};
  const auto net = nn::create_model("resnet8", options);
  const std::string path = folder_.file("model.safetensors");
  const data::Standardisation three{{0.5, 0.5, 0.5}, {1, 1, 1}};
  const auto fails = [&](const char* word) {
    try {
      load_network(path);
    } catch (const Error& e) {
      return std::string(e.what()).find(path) != std::string::npos &&
             std::string(e.what()).find(word) != std::string::npos;
    }
    return false;
  };
  save_network(path, *net, "resnet14", options, three);  // weights of another network
  EXPECT_TRUE(fails("layer1.1"));
  write_safetensors(path, net->state_dict());  // no metadata
  EXPECT_TRUE(fails("network"));
  save_network(path, *net, "resnet8", options, {{0.5}, {1}});
  EXPECT_TRUE(fails("mean"));
}

}  // namespace
}  // namespace limbeck::kd
