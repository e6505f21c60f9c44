// Networks beside numbers of the original PyTorch modules; and that the comparison notices what is
// wrong.
#include "nn/parity.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "nn/models/registry.h"
#include "ops_cpu/isa.h"

namespace limbeck::nn {
namespace {

namespace fs = std::filesystem;

const std::string fixtures = "tests/data/fixtures/";

std::vector<std::string> all_fixtures(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(fixtures + folder))
    names.push_back(folder + "/" + entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// The only report of a fixture that holds one network.
ParityReport run_one(const std::string& path, DType dtype) {
  const std::vector<ParityReport> reports = run_parity(path, dtype);
  EXPECT_EQ(reports.size(), 1u);
  return reports.at(0);
}

std::string failures(const ParityReport& report) {
  std::string text;
  for (const ParityLine& l : report.lines)
    if (!l.ok()) text += l.group + ": " + l.quantity + ": " + l.detail + "\n";
  return text;
}

// googletest names allow letters, digits and underscores only.
std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

/// f64 to 1e-8. The reference kernels serve f64, so only the small ones run here; `limbeck parity`
/// takes them all.
class ParityF64 : public testing::TestWithParam<std::string> {};
TEST_P(ParityF64, MatchesPyTorch) {
  const ParityReport report = run_one(fixtures + GetParam() + ".json", DType::f64);
  EXPECT_TRUE(report.ok()) << failures(report);
}
INSTANTIATE_TEST_SUITE_P(Regressors, ParityF64,
                         testing::Values("regression/resnet20", "regression/wrn_16_1"), test_name);
INSTANTIATE_TEST_SUITE_P(Classifiers, ParityF64,
                         testing::Values("cifar100/resnet8", "cifar100/resnet20",
                                         "cifar100/wrn_16_1", "cifar100/vgg8",
                                         "cifar100/MobileNetV2", "cifar100/ShuffleV1",
                                         "cifar100/ShuffleV2", "cifar100/efficientnetb0",
                                         "imagenet100/resnet20"),
                         test_name);

/// f32 with the fast kernels of every instruction set of this machine: every fixture of 32x32
/// images and the small ones of 64x64.
class ParityF32 : public testing::TestWithParam<std::string> {};
TEST_P(ParityF32, MatchesPyTorch) {
  for (Isa isa : {Isa::base, Isa::avx2, Isa::avx512}) {
    if (isa > best_isa()) continue;
    const ExecutionScope use(with(&Execution::isa, isa));
    const ParityReport report = run_one(fixtures + GetParam() + ".json", DType::f32);
    EXPECT_TRUE(report.ok()) << name_of(isa) << "\n" << failures(report);
  }
}
INSTANTIATE_TEST_SUITE_P(Classifiers, ParityF32, testing::ValuesIn(all_fixtures("cifar100")),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Regressors, ParityF32,
                         testing::Values("regression/resnet20", "regression/resnet8x4",
                                         "regression/wrn_16_1", "regression/MobileNetV2",
                                         "regression/ShuffleV1", "regression/ShuffleV2",
                                         "regression/efficientnetb0"),
                         test_name);
/// The larger regressors with the fastest kernels only.
class ParityF32Large : public testing::TestWithParam<std::string> {};
TEST_P(ParityF32Large, MatchesPyTorch) {
  const ParityReport report = run_one(fixtures + GetParam() + ".json", DType::f32);
  EXPECT_TRUE(report.ok()) << failures(report);
}
INSTANTIATE_TEST_SUITE_P(Regressors, ParityF32Large,
                         testing::Values("regression/vgg8", "regression/vgg11", "regression/vgg19",
                                         "regression/ResNet18", "regression/ResNet34",
                                         "regression/resnet56", "regression/wrn_40_1",
                                         "regression/densenet121"),
                         test_name);

TEST(Parity, SaysWhatItCannotCompare) {
  const ParityReport report = run_one(fixtures + "imagenet100/vgg8.json", DType::f32);
  EXPECT_TRUE(report.ok()) << failures(report);
  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_NE(report.notes[0].find("drops out at random"), std::string::npos);
  EXPECT_TRUE(run_one(fixtures + "cifar100/resnet8.json", DType::f32).notes.empty());
}

// --- the comparison itself -----------------------------------------------------------------------

/// A fixture with one number changed, written to a temporary file; returns the groups that fail.
std::vector<std::string> failing_groups(const std::function<void(nlohmann::json&)>& change) {
  nlohmann::json j = nlohmann::json::parse(read_file(fixtures + "cifar100/resnet8.json"));
  change(j);
  const fs::path path =
      fs::temp_directory_path() / ("limbeck_parity_" + std::to_string(getpid()) + ".json");
  write_file_atomically(path.string(), j.dump());
  const ParityReport report = run_one(path.string(), DType::f64);
  fs::remove(path);
  std::vector<std::string> groups;
  for (const ParityLine& l : report.lines)
    if (!l.ok() && (groups.empty() || groups.back() != l.group)) groups.push_back(l.group);
  return groups;
}

void scale(nlohmann::json& number, double factor) { number = number.get<double>() * factor; }

TEST(Parity, NoticesAWrongNumberAndSaysWhere) {
  using nlohmann::json;
  using Groups = std::vector<std::string>;
  EXPECT_EQ(failing_groups([](json&) {}), Groups{});
  EXPECT_EQ(failing_groups([](json& j) { scale(j["train_losses_3_sgd_steps"][2], 1 + 1e-5); }),
            Groups{"losses"});
  EXPECT_EQ(
      failing_groups([](json& j) { scale(j["train_grads"]["layer2.0.bn1.bias"]["l2"], 1 + 1e-7); }),
      Groups{"gradients"});
  EXPECT_EQ(
      failing_groups([](json& j) { scale(j["train_grads"]["conv1.weight"]["first"][1], 1.001); }),
      Groups{"gradients"});
  EXPECT_EQ(failing_groups([](json& j) { j["train_grads"].erase("fc.bias"); }),
            Groups{"gradients"});
  EXPECT_EQ(failing_groups(
                [](json& j) { scale(j["running_after_1"]["bn1.running_var"]["sum"], 1 + 1e-4); }),
            Groups{"buffers after a step"});
  EXPECT_EQ(failing_groups([](json& j) { scale(j["eval_features_preact"][2]["sum"], 1.01); }),
            Groups{"taps before activation"});
  EXPECT_EQ(failing_groups([](json& j) { scale(j["eval_features"][3]["l2"], 1 + 1e-7); }),
            Groups{"taps"});
  EXPECT_EQ(failing_groups([](json& j) { scale(j["eval_logits"][3][4], 1 + 1e-4); }),
            Groups{"eval logits"});
  EXPECT_EQ(failing_groups([](json& j) {
              j["state_dict"]["fc.weight"] = {64, 100};
            }),
            Groups{"state_dict"});
}

TEST(Parity, RefusesWhatIsNoFixture) {
  const auto message = [](const std::string& text) -> std::string {
    const fs::path path =
        fs::temp_directory_path() / ("limbeck_parity_bad_" + std::to_string(getpid()) + ".json");
    write_file_atomically(path.string(), text);
    std::string what;
    try {
      run_one(path.string(), DType::f64);
    } catch (const Error& e) {
      what = e.what();
    }
    fs::remove(path);
    return what;
  };
  EXPECT_NE(message("{").find("not a fixture"), std::string::npos);
  EXPECT_NE(message("[1, 2]").find(
                "not a fixture of a known kind (GAN, classifier, distillation criteria, "
                "regression networks, regressor)"),
            std::string::npos)
      << message("[1, 2]");
  EXPECT_NE(message("{\"model\": \"resnet8\"}").find("'input' not found"), std::string::npos);
  EXPECT_NE(message(R"({"model": "resnet9", "input": [4, 3, 32, 32], "num_classes": 100})")
                .find("did you mean"),
            std::string::npos);
}

TEST(Parity, FillRule) {
  // Numbers of the fixtures' own generator: the eval input begins with them.
  EXPECT_EQ(fnv1a(""), 0xcbf29ce484222325u);
  EXPECT_EQ(fnv1a("a"), 0xaf63dc4c8601ec8cu);
  const Tensor u = parity_fill_uniform("input", {1000});
  for (double v : u.span<double>()) {
    EXPECT_GE(v, 0);
    EXPECT_LT(v, 1);
    EXPECT_EQ(v, std::floor(v * 0x1p24) * 0x1p-24);
  }
  double squares = 0;
  const Tensor unit = parity_state_value("blocks.0.conv1.u0", {1, 64});
  for (double v : unit.span<double>()) squares += v * v;
  EXPECT_NEAR(squares, 1, 1e-12);
  EXPECT_EQ(parity_state_value("bn.num_batches_tracked", {}).item(), 0);
  EXPECT_EQ(parity_state_value("attention.gamma", {}).item(), 0.5);
  const Tensor variances = parity_state_value("bn.running_var", {50});
  for (double v : variances.span<double>()) {
    EXPECT_GE(v, 1);
    EXPECT_LT(v, 1.5);
  }
}

}  // namespace
}  // namespace limbeck::nn
