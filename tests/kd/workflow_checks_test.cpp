// What a workflow refuses, or remarks on, before anything runs: settings, and data that do not fit.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/kd/workflow_graph.h"

namespace limbeck::kd {
namespace {

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
  EXPECT_EQ(message_of_responses([](auto& s) { s.distillation.method = "none"; }), "");
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

}  // namespace
}  // namespace limbeck::kd
