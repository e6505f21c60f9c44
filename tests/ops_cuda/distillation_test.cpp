// Steps of every distillation method on the device cuda beside the CPU, from the same seed; the
// stages before too. Steps of equal batches are replayed from a recorded graph.
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/autocast.h"
#include "kd/stored_logits.h"
#include "nn/layers.h"
#include "ops/execution.h"
#include "tests/data/temporary.h"
#include "tests/kd/counted_distillation.h"
#include "tests/kd/method_settings.h"
#include "tests/kd/teach.h"
#include "tests/ops_cuda/methods.h"

namespace limbeck::kd {
namespace {

constexpr Device cuda{DeviceKind::cuda, 0};

/// Stem and two stages: taps as the networks of the registry have them.
class ThreeMaps : public nn::Network {
 public:
  explicit ThreeMaps(uint64_t seed)
      : stem_(3, 4, {.kernel = 3, .padding = 1}),
        first_(4, 4, {.kernel = 3, .padding = 1}),
        second_(4, 6, {.kernel = 3, .stride = 2, .padding = 1}),
        norms_{nn::BatchNorm2d(4), nn::BatchNorm2d(4), nn::BatchNorm2d(6)},
        fc_(6, 3) {
    add("stem", stem_), add("first", first_), add("second", second_);
    for (size_t i = 0; i < 3; ++i) add("bn" + std::to_string(i), norms_[i]);
    add("fc", fc_);
    initialise(Stream(seed));
  }
  nn::Features forward_features(const Variable& x, bool preact) override {
    const Variable stem = norms_[0].relu(stem_(x)), a = norms_[1](first_(stem)),
                   b = norms_[2](second_(relu(a))), pooled = global_avg_pool(relu(b));
    return {{stem, preact ? a : relu(a), preact ? b : relu(b), pooled}, fc_(pooled), pooled};
  }

 private:
  nn::Conv2d stem_, first_, second_;
  nn::BatchNorm2d norms_[3];
  nn::Linear fc_;
};

std::unique_ptr<nn::Network> network(uint64_t seed, Device device) {
  auto net = std::make_unique<ThreeMaps>(seed);
  net->to(device);
  return net;
}

data::Split images() {
  data::Dataset d;
  d.images = Tensor::empty({16, 8, 8, 3}, DType::u8);
  Stream s(5);
  for (uint8_t& x : d.images.span<uint8_t>()) x = static_cast<uint8_t>(s.below(256));
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 16; ++i) labels.push_back(i % 3);
  d.labels = Tensor::of(labels);
  d.classes = 3;
  return {d, {}};
}

class Losses : public nn::Monitor {
 public:
  void metrics(int64_t, const nn::Values& all) override {
    for (const auto& [name, value] : all)
      if (name == "loss") values.push_back(value);
  }
  std::vector<double> values;
};

class CudaDistillation : public testing::TestWithParam<std::string> {
 protected:
  /// "kdiga form=igdm" is kdiga with a setting of its own.
  std::string name() const { return GetParam().substr(0, GetParam().find(' ')); }
  std::unique_ptr<Method> method() const {
    NamedSettings settings = default_method_settings();
    if (const size_t space = GetParam().find(' '), sign = GetParam().find('=');
        sign != std::string::npos) {
      const std::string key = GetParam().substr(space + 1, sign - space - 1),
                        value = GetParam().substr(sign + 1);
      if (value == "true")
        SetField<bool>(settings.at(name()), key, true);
      else
        SetField<std::string>(settings.at(name()), key, value);
    }
    for (const char* section : {"init", "paraphraser"})
      for (const auto& [key, value] : {std::pair{"epochs", int64_t{2}}, {"batch", int64_t{4}}}) {
        try {
          SetField<int64_t>(settings.at(name()), cat(section, ".", key), value);
        } catch (const Error&) {}  // no such stage
      }
    return create_method(name(), settings);
  }

  /// Losses of the stages before and of the training, an epoch each.
  std::vector<double> losses_on(Device device, double lr = 0.01) const {
    const data::Split split = images();
    const data::Standardisation standardisation = data::standardisation_of(split.train);
    const train::ClassificationCriterion criterion;
    Losses monitor;
    const auto teacher = network(2, device), prepared = network(1, device),
               student = network(1, device);
    teacher->set_requires_grad(false);
    teacher->eval();
    for (const Preparation& p : method()->preparations()) {
      const train::Settings training;
      PreparationContext context{*prepared, *teacher,  split,   standardisation,
                                 criterion, Stream(4), monitor, folder_.path(),
                                 "",        "",        {},      training,
                                 {}};
      p.run(context);
    }
    CountedDistillation distillation(name(), method(), network(2, device), nn::Task::classification,
                                     [this](const std::string&) { return folder_.path(); });
    distillation.fakes_begin_at(10);
    teach(*student, distillation, split.train, split.test, monitor,
          {.epochs = 2, .batch = 4, .lr = lr, .crop_padding = 1});
    EXPECT_EQ(distillation.calls(), device == cpu ? 8 : 3) << "two as usual, one recorded";
    return monitor.values;
  }
  const test::TemporaryFolder folder_;
};

TEST_P(CudaDistillation, LossesAreThoseOfTheCpu) {
  const std::vector<double> expected = losses_on(cpu), found = losses_on(cuda);
  ASSERT_EQ(found.size(), expected.size());
  ASSERT_EQ(found.size(), method()->preparations().empty() ? 2u : 4u);
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 1e-3 * (1 + std::abs(expected[i]))) << "epoch " << i;
}
/// With activations stored in bf16 the terms are still computed in f32. Small steps, since weights
/// in the thousands lead rounding far.
TEST_P(CudaDistillation, LossesInBf16AreNear) {
  const std::vector<double> expected = losses_on(cpu, 1e-6);
  const ExecutionScope bf16(with(&Execution::activations, DType::bf16));
  const std::vector<double> found = losses_on(cuda, 1e-6);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 0.03 * (1 + std::abs(expected[i]))) << "epoch " << i;
}

/// A teacher's logits of two views an image, made and used on a device, beside the CPU's.
class CudaStoredLogits : public testing::TestWithParam<const char*> {
 protected:
  static std::vector<double> losses_on(Device device) {
    const data::Split split = images();
    const data::Standardisation standardisation = data::standardisation_of(split.train);
    nn::Monitor quiet;
    data::ReplayedViews views{.count = 2, .seed = 7};
    views.outputs = logits_of_views(*network(2, device), split.train, standardisation, {1, true},
                                    views, 4, quiet);
    Distillation distillation(GetParam(), create_method(GetParam(), default_method_settings()),
                              views);
    Losses monitor;
    const auto student = network(1, device);
    teach(*student, distillation, split.train, split.test, monitor,
          {.epochs = 3, .batch = 4, .lr = 0.01, .crop_padding = 1});
    return monitor.values;
  }
};
TEST_P(CudaStoredLogits, TeachAsOnTheCpu) {
  const std::vector<double> expected = losses_on(cpu), found = losses_on(cuda);
  ASSERT_EQ(found.size(), 3u);
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 1e-3 * (1 + std::abs(expected[i]))) << "epoch " << i;
}
INSTANTIATE_TEST_SUITE_P(Methods, CudaStoredLogits,
                         testing::Values("blkd", "cckd", "ckd", "cmkd", "dkd", "dist"),
                         [](const auto& info) { return std::string(info.param); });

INSTANTIATE_TEST_SUITE_P(Forms, CudaDistillation,
                         testing::Values("cckd swap_for_fakes=true", "cmkd ranks=projection",
                                         "kdiga form=igdm"),
                         [](const auto& info) {
                           return info.param.substr(0, info.param.find(' '));
                         });
INSTANTIATE_TEST_SUITE_P(Methods, CudaDistillation, testing::ValuesIn(methods_of_three_maps()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace limbeck::kd
