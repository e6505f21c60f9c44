// Two trainings with settings of their own (ops/execution.h) in one program: whether one after the
// other, by turns or in two threads, each ends with the bits that it has alone.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "nn/models/registry.h"
#include "train/supervised_step.h"

namespace limbeck {

/// A small classifier with a loader of its own, which has a thread.
class Training {
 public:
  Training(const data::Dataset& set, Device device, Execution settings)
      : settings_(std::move(settings)),
        standardisation_(data::standardisation_of(set)),
        network_(nn::create_model("resnet8", {.outputs = 3, .size = 8})) {
    network_->initialise(Stream(3));
    network_->to(device);
    network_->train();
    step_ = std::make_unique<train::SupervisedStep>(*network_, criterion_, standardisation_,
                                                    nn::SGD::Config{.lr = 0.1, .momentum = 0.9});
    loader_ = std::make_unique<data::Loader>(
        set,
        data::Loader::Config{
            .batch = 6, .standardisation = standardisation_, .threads = 1, .device = device},
        Stream(5));
  }

  void step() {
    const ExecutionScope scope(settings_);
    (*step_)(loader_->next(), Stream(7).fork("noise", static_cast<uint64_t>(steps_)), steps_);
    ++steps_;
  }

  std::string bits() const {
    std::string all;
    for (const nn::Parameter& p : network_->parameters()) {
      const Tensor t = p.value.data().to(cpu);
      all.append(static_cast<const char*>(t.raw()), static_cast<size_t>(t.bytes()));
    }
    return all;
  }

 private:
  const Execution settings_;
  const data::Standardisation standardisation_;
  const train::ClassificationCriterion criterion_;
  std::unique_ptr<nn::Network> network_;
  std::unique_ptr<train::SupervisedStep> step_;
  std::unique_ptr<data::Loader> loader_;
  int64_t steps_ = 0;
};

inline data::Dataset training_images() {
  data::Dataset d;
  d.images = Tensor::empty({24, 8, 8, 3}, DType::u8);
  Stream stream(11);
  for (uint8_t& x : d.images.span<uint8_t>()) x = static_cast<uint8_t>(stream.below(256));
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 24; ++i) labels.push_back(i % 3);
  d.labels = Tensor::of(labels);
  d.classes = 3;
  return d;
}

inline void expect_the_bits_of_each_alone(Device device, const Execution& first,
                                          const Execution& second) {
  constexpr int steps = 6;  // on a device: as usual, recorded, replayed
  const data::Dataset set = training_images();
  const auto alone = [&](const Execution& settings) {
    Training t(set, device, settings);
    for (int i = 0; i < steps; ++i) t.step();
    return t.bits();
  };
  const std::string a = alone(first), b = alone(second);
  ASSERT_TRUE(a != b) << "the settings make no difference";
  {
    Training x(set, device, first), y(set, device, second);
    for (int i = 0; i < steps; ++i) x.step(), y.step();
    EXPECT_TRUE(x.bits() == a) << "by turns";
    EXPECT_TRUE(y.bits() == b) << "by turns";
  }
  Training x(set, device, first), y(set, device, second);
  const auto run = [](Training& t) {
    for (int i = 0; i < steps; ++i) t.step();
  };
  std::thread other(run, std::ref(y));
  run(x);
  other.join();
  EXPECT_TRUE(x.bits() == a) << "in two threads";
  EXPECT_TRUE(y.bits() == b) << "in two threads";
}

}  // namespace limbeck
