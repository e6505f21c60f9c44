#include "kd/workflow.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "kd/checkpoint.h"

namespace limbeck::kd {
namespace {

std::map<std::string, Stage> graph(const WorkflowSettings& s) {
  std::map<std::string, Stage> by_name;
  for (Stage& stage : workflow_stages(s)) by_name.emplace(stage.name, stage);
  return by_name;
}

TEST(Workflow, EveryNeedIsAnEarlierStage) {
  WorkflowSettings s;
  s.ablation = true;
  std::set<std::string> seen;
  for (const Stage& stage : workflow_stages(s)) {
    for (const std::string& need : stage.needs) EXPECT_TRUE(seen.count(need)) << stage.name << " needs " << need;
    EXPECT_TRUE(seen.insert(stage.name).second) << stage.name << " twice";
    EXPECT_FALSE(stage.title.empty());
  }
  for (const char* name : {"teacher", "nokd", "nokd_equal", "blkd", "gan", "features", "ratio", "fakes_raw", "fakes_m1", "fakes", "cgankd", "cgankd_blkd", "cgankd_raw",
                           "cgankd_m1", "blkd_equal", "evaluate"})
    EXPECT_TRUE(seen.count(name)) << name;
}

/// The stages whose own settings text changes.
std::set<std::string> touched(const WorkflowSettings& changed) {
  std::set<std::string> names;
  const auto before = graph({}), after = graph(changed);
  for (const auto& [name, stage] : before)
    if (stage.settings != after.at(name).settings) names.insert(name);
  return names;
}

TEST(Workflow, AChangedSettingTouchesOnlyTheStagesThatReadIt) {
  WorkflowSettings s;
  s.gan.steps += 1;
  EXPECT_EQ(touched(s), (std::set<std::string>{"gan"}));
  s = {};
  s.fakes.filter_burn_in += 1;
  EXPECT_EQ(touched(s), (std::set<std::string>{"fakes"}));
  s = {};
  s.fakes.sampling.burn_in += 1;
  EXPECT_EQ(touched(s), (std::set<std::string>{"fakes", "fakes_m1", "fakes_raw"}));
  s = {};
  s.fakes.rho = 0.8;
  EXPECT_EQ(touched(s), (std::set<std::string>{"fakes", "evaluate"}));
  s = {};
  s.transfer.epochs += 1;
  EXPECT_EQ(touched(s), (std::set<std::string>{"nokd_equal", "cgankd", "cgankd_blkd"}));
  s = {};
  s.distillation.temperature += 1;
  EXPECT_EQ(touched(s), (std::set<std::string>{"blkd", "cgankd_blkd"}));
  const auto equal_steps = [](int64_t per_class) {
    WorkflowSettings w;
    w.ablation = true;
    w.fakes.per_class = per_class;
    return graph(w).at("blkd_equal").settings;
  };
  EXPECT_NE(equal_steps(10), equal_steps(11));
  s = {};
  s.seed += 1;
  EXPECT_EQ(touched(s).size(), graph({}).size());
}

TEST(Workflow, DefaultsAreThePublishedRecipe) {
  const WorkflowSettings s;
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
  EXPECT_DOUBLE_EQ(s.distillation.soft_weight, 0.9);
}

TEST(Workflow, WrongNamesAreRefusedBeforeAnythingRuns) {
  const auto message = [](auto&& change) {
    WorkflowSettings s;
    change(s);
    try {
      workflow_stages(s);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(message([](auto& s) { s.student.model = "resnt8"; }).find("student.model"), std::string::npos);
  EXPECT_NE(message([](auto& s) { s.student.model = "resnt8"; }).find("'resnet8'"), std::string::npos);
  EXPECT_NE(message([](auto& s) { s.distillation.name = "blk"; }).find("distillation.name"), std::string::npos);
  EXPECT_NE(message([](auto& s) { s.ratio.net = "MLP4"; }).find("ratio.net"), std::string::npos);
  EXPECT_NE(message([](auto& s) { s.fakes.form = "x"; }).find("fakes.form"), std::string::npos);
  EXPECT_NE(message([](auto& s) { s.evaluation.network = "x"; }).find("evaluation.network"), std::string::npos);
}

class SavedNetworks : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "limbeck-network-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

TEST_F(SavedNetworks, ComeBackAsTheyWere) {
  const nn::ModelOptions options{.outputs = 7, .channels = 1, .size = 32};
  const auto net = nn::create_model("resnet8", options);
  net->initialise(Stream(3));
  const data::Standardisation standardisation{{0.1234567890123456789}, {1.0 / 3}};
  const std::string path = directory_ + "/model.safetensors";
  save_network(path, *net, "resnet8", options, standardisation);
  const SavedNetwork saved = load_network(path);
  EXPECT_EQ(saved.name, "resnet8");
  EXPECT_EQ(saved.options.outputs, 7);
  EXPECT_EQ(saved.standardisation.mean, standardisation.mean);
  EXPECT_EQ(saved.standardisation.deviation, standardisation.deviation);
  const auto a = net->parameters(), b = saved.network->parameters();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].value.data().to_vector<float>(), b[i].value.data().to_vector<float>()) << a[i].name;
}

TEST_F(SavedNetworks, RegressorsComeBackAsRegressors) {
  const nn::ModelOptions options{.outputs = 1, .channels = 1, .size = 32, .task = nn::Task::regression};
  const auto net = nn::create_model("resnet8", options);
  const std::string path = directory_ + "/model.safetensors";
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

TEST_F(SavedNetworks, OfAnotherKindAreRefusedByName) {
  const nn::ModelOptions options{.outputs = 10, .channels = 3, .size = 32};
  const auto net = nn::create_model("resnet8", options);
  const std::string path = directory_ + "/model.safetensors";
  const data::Standardisation three{{0.5, 0.5, 0.5}, {1, 1, 1}};
  const auto fails = [&](const char* word) {
    try {
      load_network(path);
    } catch (const Error& e) {
      return std::string(e.what()).find(path) != std::string::npos && std::string(e.what()).find(word) != std::string::npos;
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
