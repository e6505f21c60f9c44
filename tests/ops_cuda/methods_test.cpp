// Distillation methods on the device cuda beside the CPU, from the same seed: most steps are
// replayed from a recorded graph, so what a method draws or remembers must come from the step.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/data/temporary.h"
#include "tests/kd/counted_distillation.h"
#include "tests/kd/method_settings.h"
#include "tests/kd/teach.h"
#include "tests/ops_cuda/methods.h"

namespace limbeck {
namespace {

const Device device_cuda{DeviceKind::cuda, 0};
const nn::ModelOptions small_classifier{.outputs = 3, .channels = 3, .size = 8};

data::Dataset bright_channels(int64_t n) {
  data::Dataset d;
  d.images = Tensor::empty({n, 8, 8, 3}, DType::u8);
  std::vector<int64_t> labels;
  Stream stream(11);
  for (int64_t i = 0; i < n; ++i) {
    labels.push_back(i % 3);
    const auto x = d.images.rows(i, i + 1).span<uint8_t>();
    for (size_t p = 0; p < x.size(); ++p)
      x[p] = static_cast<uint8_t>(stream.below(128) + (static_cast<int64_t>(p % 3) == i % 3) * 90);
  }
  d.labels = Tensor::of(labels);
  d.classes = 3;
  return d;
}

std::unique_ptr<nn::Network> network_on(const std::string& name, uint64_t seed, Device device) {
  auto network = nn::create_model(name, small_classifier);
  network->initialise(Stream(seed));
  network->to(device);
  return network;
}

class CudaMethods : public testing::TestWithParam<std::string> {};

/// Losses of the epochs, then the modules' state.
struct Trained : nn::Monitor {
  std::vector<double> losses;
  TensorFile auxiliary;
  void metrics(int64_t, const nn::Values& v) override { losses.push_back(v[0].second); }
};

TEST_P(CudaMethods, TrainAsOnTheCpu) {
  const data::Split split{bright_channels(20), {}};
  const data::Standardisation standardisation = data::standardisation_of(split.train);
  const train::ClassificationCriterion criterion;
  train::Settings settings;
  settings.epochs = 2, settings.evaluate_every = 2, settings.batch = 4, settings.crop_padding = 1,
  settings.lr = 0.01;
  NamedSettings methods = kd::default_method_settings();
  kd::SetField<int64_t>(methods.at("crd"), "negatives", 6);
  kd::SetField<int64_t>(methods.at("sskd"), "head_epochs", 1);
  kd::SetField<int64_t>(methods.at("sskd"), "head_batch", 4);
  kd::SetField<double>(methods.at("semckd"), "weight", 20.0);  // 400 magnifies roundings
  kd::SetField<int64_t>(methods.at("vam"), "block", 8);
  kd::SetField<std::string>(methods.at("hkd"), "auxiliary", "resnet8");
  kd::SetField<std::vector<std::string>>(methods.at("takd"), "assistants", {"resnet8"});
  const test::TemporaryFolder folder;
  const auto folder_of = [&](const std::string&) { return folder.path(); };
  const std::string student_name = kd::student_of(GetParam());
  const auto first_student = network_on(student_name, 3, cpu),
             teacher = network_on("resnet8", 4, cpu);
  teacher->eval();
  nn::Monitor quiet;
  for (const kd::Preparation& p : kd::create_method(GetParam(), methods)->preparations()) {
    kd::PreparationContext c{*first_student,   *teacher, split,         standardisation, criterion,
                             Stream(5),        quiet,    folder.path(), student_name,    "resnet8",
                             small_classifier, settings, folder_of};
    p.run(c);
  }
  std::map<DeviceKind, Trained> log;
  for (const Device device : {cpu, device_cuda}) {
    const auto student = network_on(student_name, 3, device);
    kd::CountedDistillation distillation(GetParam(), kd::create_method(GetParam(), methods),
                                         network_on("resnet8", 4, device), nn::Task::classification,
                                         folder_of);
    Trained& here = log[device.kind];
    kd::teach(*student, distillation, split.train, split.train, here, settings, 7);
    EXPECT_EQ(distillation.calls(), device == cpu ? 10 : 3) << "two as usual, one recorded";
    if (distillation.auxiliary()) here.auxiliary = distillation.auxiliary()->state_dict();
    const TensorFile trained = student->state_dict();
    if (const Tensor* const t = trained.find("inverse_temperature"))
      here.auxiliary.add("inverse_temperature", *t);
  }
  const Trained &found = log[DeviceKind::cuda], &expected = log[DeviceKind::cpu];
  ASSERT_EQ(found.losses.size(), 2u);
  for (size_t i = 0; i < 2; ++i)
    EXPECT_NEAR(found.losses[i], expected.losses[i], 2e-3 * (1 + std::abs(expected.losses[i])))
        << "epoch " << i + 1;
  for (const auto& [name, t] : expected.auxiliary.tensors) {
    const Tensor other = found.auxiliary.get(name);
    for (int64_t i = 0; i < t.numel(); ++i)
      ASSERT_NEAR(other.at(i), t.at(i), 2e-2 * (1 + std::abs(t.at(i)))) << name << " " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, CudaMethods, testing::ValuesIn(methods_of_registry_networks),
                         [](const auto& i) { return i.param; });

}  // namespace
}  // namespace limbeck
