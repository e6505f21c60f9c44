// Five steps of the real training step, SupervisedStep with a Distillation, beside an independent
// computation in PyTorch (tests/oracle/methods_vs_torch.py, which wrote the fixture): losses, and
// what the steps leave in student, auxiliary modules, memories and running statistics. In f64;
// images, labels and negatives are fixed by rule.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "kd/distillation.h"
#include "kd/methods/crd.h"
#include "kd/methods/sskd_head.h"
#include "nn/parity_fixture.h"
#include "tests/data/temporary.h"
#include "tests/kd/method_settings.h"
#include "train/supervised_step.h"

namespace limbeck::kd {
namespace {

using nlohmann::json;

const json& five_steps() {
  static const json all = json::parse(read_file("tests/data/fixtures/kd/five_steps.json"));
  return all;
}

/// Row i of step k is image 3 i + 1 + 7 k, its negatives j those 1 + k + 2 j behind it.
int64_t row_of(int64_t i, int64_t step, int64_t images) { return (3 * i + 1 + 7 * step) % images; }

class RuledNegatives : public crd::Crd {
 public:
  RuledNegatives(const Settings& settings, int64_t images)
      : Crd(settings), count_(settings.negatives), images_(images) {}

 protected:
  Variable negatives(const train::Step& step) const override {
    const int64_t n = step.rows.numel();
    const auto k = static_cast<int64_t>(step.clock.at(0));
    const std::vector<int64_t> rows = step.rows.to_vector<int64_t>();
    const Tensor weights = Tensor::zeros({n, images_}, DType::f64);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < count_; ++j)
        weights.data<double>()[i * images_ +
                               (rows[static_cast<size_t>(i)] + 1 + k + 2 * j) % images_] += 1;
    return Variable(weights);
  }

 private:
  const int64_t count_, images_;
};

std::unique_ptr<Method> method_of(const std::string& name, const json& settings) {
  if (name != "crd") return create_method(name);
  crd::CrdSettings s;
  s.negatives = settings.at("negatives"), s.width = settings.at("width");
  return std::make_unique<RuledNegatives>(s, settings.at("images"));
}

std::unique_ptr<nn::Network> filled(const json& settings, const char* whose) {
  auto network = nn::create_model(settings.at(whose),
                                  {.outputs = settings.at("classes"), .size = settings.at("size")});
  network->to(DType::f64);
  nn::parity_fill_state(*network);
  return network;
}

/// Bytes by rule, from -1 to 1; in views, each image and its three quarter turns.
data::Batch batch_of(const json& settings, int64_t step, bool in_views) {
  const int64_t n = settings.at("batch"), side = settings.at("size");
  const Tensor u = nn::parity_fill_uniform(cat("images.", step), {n, 3, side, side});
  for (double& x : u.span<double>()) x = std::floor(256 * x);
  Tensor bytes = to_channels_last(u).to(DType::u8);
  if (in_views) {
    std::vector<int64_t> all(static_cast<size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    bytes = data::quarter_turns(bytes, all, false, Stream(1));
  }
  data::Batch batch;
  batch.images = affine(Variable(bytes.to(DType::f64)), 1 / 127.5, -1).data();
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < n; ++i) {
    labels.push_back((5 * i + step) % settings.at("classes").get<int64_t>());
    batch.index.push_back(row_of(i, step, settings.at("images")));
  }
  batch.labels = Tensor::of(labels);
  return batch;
}

/// The losses of the steps.
std::vector<double> run_steps(const json& settings, nn::Network& network, train::ExtraLoss& extra) {
  const data::Standardisation unused{{0, 0, 0}, {1, 1, 1}};
  const train::ClassificationCriterion criterion;
  train::SupervisedStep step(network, criterion, unused,
                             nn::SGD::Config{.lr = settings.at("lr"),
                                             .momentum = settings.at("momentum"),
                                             .weight_decay = settings.at("weight_decay"),
                                             .nesterov = settings.at("nesterov")},
                             &extra);
  network.train();
  std::vector<double> losses;
  const std::vector<int64_t> epochs = settings.at("epochs");
  for (int64_t k = 0; k < static_cast<int64_t>(epochs.size()); ++k)
    losses.push_back(step(batch_of(settings, k, extra.views().quarter_turns), Stream(1), k,
                          epochs[static_cast<size_t>(k)])[0]
                         .item());
  return losses;
}

void expect_losses(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t k = 0; k < found.size(); ++k)
    EXPECT_NEAR(found[k], expected[k], 1e-9 * (1 + std::abs(expected[k]))) << "step " << k;
}

/// What SSKD's stage before leaves: the teacher's head, in f32 as files are.
void save_teacher_head(const std::string& directory, int64_t width) {
  TensorFile file;
  for (const char* key : {"0.weight", "0.bias", "2.weight", "2.bias"}) {
    const Shape shape = key[2] == 'w' ? Shape{width, width} : Shape{width};
    file.add(key, nn::parity_state_value(cat("head.", key), shape).to(DType::f32));
  }
  write_safetensors(directory + "/head.safetensors", file);
}

/// The trained modules, filled by their keys, and the steps.
class FiveSteps {
 public:
  FiveSteps(const std::string& name, const std::string& directory)
      : s_(five_steps().at(name).at("settings")),
        batch_(s_.at("batch")),
        student_(filled(s_, "student")),
        distillation_(name, method_of(name, s_), filled(s_, "teacher"), nn::Task::classification,
                      [directory](const std::string&) { return directory; }) {
    save_teacher_head(directory, 128);
    prepare();
    if (nn::Module* auxiliary = distillation_.auxiliary()) {
      auxiliary->to(DType::f64);
      nn::parity_fill_state(*auxiliary);
      if (auto* contrast = dynamic_cast<crd::Contrast*>(auxiliary)) contrast->normalisers().fill(0);
    }
  }

  std::vector<double> run() { return run_steps(s_, *student_, distillation_); }

  nn::Network& student() { return *student_; }
  nn::Module& auxiliary() { return *distillation_.auxiliary(); }
  nn::Network& teacher() { return distillation_.teacher(); }

 private:
  void prepare() {
    const NoGrad no_grad;
    data::Dataset train;
    const int64_t n = s_.at("images"), side = s_.at("size");
    train.images = Tensor::zeros({n, side, side, 3}, DType::u8);
    std::vector<int64_t> labels;
    train.classes = s_.at("classes");
    for (int64_t i = 0; i < n; ++i) labels.push_back(i % train.classes);
    train.labels = Tensor::of(labels);
    student_->eval();
    const Variable images(Tensor::zeros({2, side, side, 3}, DType::f64));
    const nn::Features features = student_->forward_features(images, distillation_.preact());
    distillation_.prepare({*student_, features, images, train, Stream(1), batch_});
  }

  const json s_;
  const int64_t batch_;
  std::unique_ptr<nn::Network> student_;
  Distillation distillation_;
};

class StepsOf : public testing::TestWithParam<const char*> {};

void expect_state(const json& expected, const nn::Module& module, const std::string& whose) {
  nn::ParityReport report{whose, {}, {}};
  const TensorFile state = module.state_dict();  // PyTorch's layouts
  size_t compared = 0;
  for (const auto& [key, t] : state.tensors) {
    if (key.ends_with("num_batches_tracked")) continue;
    ASSERT_TRUE(expected.contains(key)) << whose << " " << key;
    report.add(whose, key, nn::summarise(t), nn::read_summary(expected.at(key)), {1e-9, 1e-9},
               1e-3);
    ++compared;
  }
  EXPECT_EQ(compared, expected.size()) << whose;
  for (const nn::ParityLine& line : report.lines)
    EXPECT_TRUE(line.ok()) << whose << " " << line.quantity << ": " << line.detail;
}

TEST_P(StepsOf, EqualPyTorch) {
  const std::string name = GetParam();
  const test::TemporaryFolder folder;
  FiveSteps steps(name, folder.path());
  expect_losses(steps.run(), five_steps().at(name).at("losses"));
  expect_state(five_steps().at(name).at("student"), steps.student(), "student");
  expect_state(five_steps().at(name).at("auxiliary"), steps.auxiliary(), "auxiliary");
  if (five_steps().at(name).contains("teacher"))
    expect_state(five_steps().at(name).at("teacher"), steps.teacher(), "teacher");
}
INSTANTIATE_TEST_SUITE_P(Methods, StepsOf,
                         testing::Values("crd", "reviewkd", "semckd", "simkd", "sskd"),
                         [](const auto& i) { return std::string(i.param); });

TEST(StepsOfSskd, TheTeachersHeadEqualsPyTorch) {
  const json& expected = five_steps().at("sskd_head");
  const json& settings = expected.at("settings");
  const auto teacher = filled(settings, "teacher");
  teacher->eval();
  sskd::TeacherWithHead network(*teacher, 128);
  network.to(DType::f64);
  nn::parity_fill_state(network);
  sskd::HeadLoss loss(false);
  {
    const NoGrad no_grad;
    const int64_t side = settings.at("size");
    const Variable images(Tensor::zeros({2, side, side, 3}, DType::f64));
    const nn::Features features = network.forward_features(images, false);
    loss.prepare({network, features, images, {}, Stream(1), settings.at("batch")});
  }
  expect_losses(run_steps(settings, network, loss), expected.at("losses"));
  expect_state(expected.at("auxiliary"), network, "head");
  const TensorFile before = filled(settings, "teacher")->state_dict(),
                   after = teacher->state_dict();
  for (const auto& [key, t] : after.tensors)
    EXPECT_EQ(t.to(DType::f64).to_vector<double>(),
              before.get(key).to(DType::f64).to_vector<double>())
        << key;
}

}  // namespace
}  // namespace limbeck::kd
