// The stages before of AB, FSP and FT: what they train, that they resume bit-equal, and that the
// student's training begins with what they made.
#include "kd/pretraining.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "kd/distillation.h"
#include "tests/data/temporary.h"
#include "tests/kd/method_settings.h"
#include "tests/nn/stopping.h"

namespace limbeck::kd {
namespace {

std::unique_ptr<nn::Network> network(const std::string& name, uint64_t seed) {
  auto net = nn::create_model(name, {.outputs = 3, .channels = 3, .size = 32});
  net->initialise(Stream(seed));
  return net;
}

data::Split images(int64_t n) {
  data::Dataset d;
  d.images = Tensor::empty({n, 32, 32, 3}, DType::u8);
  Stream s(5);
  for (uint8_t& x : d.images.span<uint8_t>()) x = static_cast<uint8_t>(s.below(256));
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < n; ++i) labels.push_back(i % 3);
  d.labels = Tensor::of(labels);
  d.classes = 3;
  return {d, d};
}

/// Names of the parameters that a body leaves out, without repeats of a module.
std::set<std::string> outside_of_body(const std::string& name) {
  const auto net = network(name, 1);
  std::set<std::string> modules;
  const Body body(*net, {32, 32, 3});
  for (const nn::Parameter& p : net->parameters())
    if (!p.value.requires_grad()) modules.insert(p.name.substr(0, p.name.find('.')));
  return modules;
}

/// The official lists (RepDistiller helper/pretrain.py), as what is not in them.
TEST(Body, IsStemAndStages) {
  using Names = std::set<std::string>;
  EXPECT_EQ(outside_of_body("resnet8"), (Names{"fc"}));
  EXPECT_EQ(outside_of_body("wrn_16_1"), (Names{"bn1", "fc"}));
  EXPECT_EQ(outside_of_body("vgg8"), (Names{"classifier"}));
  EXPECT_EQ(outside_of_body("MobileNetV2"), (Names{"classifier", "conv2"}));
  EXPECT_EQ(outside_of_body("ShuffleV1"), (Names{"linear"}));
  EXPECT_EQ(outside_of_body("ShuffleV2"), (Names{"bn2", "conv2", "linear"}));
}

TEST(Body, GivesTheRestItsGradientsBack) {
  const auto net = network("wrn_16_1", 1);
  { const Body body(*net, {32, 32, 3}); }
  for (const nn::Parameter& p : net->parameters()) EXPECT_TRUE(p.value.requires_grad()) << p.name;
}

/// Keeps the errors of the epochs, too.
class Keeper : public test::Stopping {
 public:
  using test::Stopping::Stopping;
  void metrics(int64_t, const nn::Values& values) override {
    for (const auto& [name, value] : values)
      if (name == "train_error") errors.push_back(value);
  }
  std::vector<double> errors;
};

class Preparations : public testing::TestWithParam<const char*> {
 protected:
  bool of_student() const { return std::string(GetParam()) != "ft"; }
  std::string section() const { return of_student() ? "init" : "paraphraser"; }
  std::string file() const {
    return folder_.file(of_student() ? "student.safetensors" : "paraphraser.safetensors");
  }
  std::unique_ptr<Method> method() const {
    NamedSettings settings = default_method_settings();
    AnySettings& own = settings.at(GetParam());
    SetField<int64_t>(own, section() + ".epochs", int64_t{3});
    SetField<int64_t>(own, section() + ".batch", int64_t{8});
    return create_method(GetParam(), settings);
  }
  /// AB's has connectors, FSP needs equal channels.
  const char* teacher_name() const {
    return std::string(GetParam()) == "ab" ? "wrn_16_2" : "wrn_16_1";
  }
  void run(nn::Network& student, nn::Monitor& monitor) {
    const auto teacher = network(teacher_name(), 2);
    teacher->set_requires_grad(false);
    teacher->eval();
    const data::Split split = images(16);
    const data::Standardisation standardisation = data::standardisation_of(split.train);
    const train::ClassificationCriterion criterion;
    const train::Settings training;
    PreparationContext context{student,   *teacher,       split,   standardisation,
                               criterion, Stream(4),      monitor, folder_.path(),
                               "resnet8", teacher_name(), {},      training,
                               {}};
    const std::vector<Preparation> all = method()->preparations();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].of_student, of_student());
    EXPECT_EQ(all[0].name, section());
    all[0].run(context);
  }
  const test::TemporaryFolder folder_;
};

TEST_P(Preparations, LowerTheirLossAndLeaveTheRestAlone) {
  const auto student = network("wrn_16_1", 1);
  const TensorFile before = student->state_dict();
  Keeper monitor;
  run(*student, monitor);
  ASSERT_EQ(monitor.errors.size(), 3u);
  EXPECT_LT(monitor.errors.back(), monitor.errors.front());
  const TensorFile after = student->state_dict();
  size_t changed = 0;
  for (const auto& [name, value] : before.tensors) {
    if (value.dtype() != DType::f32) continue;
    const bool same = value.to_vector<float>() == after.get(name).to_vector<float>();
    if (!same) ++changed;
    if (name.rfind("bn1.", 0) == 0 || name.rfind("fc.", 0) == 0) {
      EXPECT_TRUE(same) << name;  // head, running statistics included
    }
  }
  EXPECT_EQ(changed > 0, of_student());
}

TEST_P(Preparations, ResumeBitEqual) {
  Keeper undisturbed, stopped(3);
  run(*network("wrn_16_1", 1), undisturbed);
  const std::string expected = read_file(file());
  std::filesystem::remove(file());
  EXPECT_THROW(run(*network("wrn_16_1", 1), stopped), nn::Interrupted);
  EXPECT_FALSE(std::filesystem::exists(file()));
  Keeper again(0, stopped.saved);
  run(*network("wrn_16_1", 1), again);
  EXPECT_EQ(read_file(file()), expected);
}

TEST_P(Preparations, AreWhatTheStudentBeginsWith) {
  const auto prepared = network("wrn_16_1", 1);
  Keeper monitor;
  run(*prepared, monitor);
  const auto student = network("wrn_16_1", 3);
  Distillation distillation(GetParam(), method(), network(teacher_name(), 2),
                            nn::Task::classification,
                            [this](const std::string&) { return folder_.path(); });
  const Variable probe(Tensor::zeros({2, 32, 32, 3}));
  const data::Split split = images(4);
  const NoGrad no_grad;
  student->eval();
  distillation.prepare({*student, student->forward_features(probe), probe, split.train, Stream(6)});
  const auto weights = [](const nn::Module& m) {
    return m.state_dict().get("conv1.weight").to_vector<float>();
  };
  EXPECT_EQ(weights(*student) == weights(*prepared), of_student());
  std::filesystem::remove(file());
  EXPECT_THROW(distillation.prepare(
                   {*student, student->forward_features(probe), probe, split.train, Stream(6)}),
               Error);
}
INSTANTIATE_TEST_SUITE_P(OfMethods, Preparations, testing::Values("ab", "fsp", "ft"));

}  // namespace
}  // namespace limbeck::kd
