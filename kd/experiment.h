// Experiment: the settings and what the stages of one process share.
#pragma once
#include <memory>
#include <string>

#include "kd/settings.h"
#include "kd/task.h"

namespace limbeck::kd {

/// The data are loaded when the first stage, or a check, asks for them.
class Experiment {
 public:
  Experiment(ExperimentSettings settings, Device device)
      : settings(std::move(settings)), device(device) {}
  const ExperimentSettings settings;
  const Device device;  ///< where networks train; no part of any fingerprint

  /// Throws for none, for images that are not square, and when they have changed since.
  const data::Split& data();
  /// What data() is, as the stages' fingerprints say (data/identity.h); it throws when it finds
  /// something else.
  void expect_data(std::string identity) { expected_ = std::move(identity); }
  const data::Dataset& train() { return data().train; }
  /// Of the real training images, as the task says.
  const data::Standardisation& standardisation();
  const Task& task();
  nn::ModelOptions options() { return task().options(train()); }
  /// Real images of a control's epoch: as many as M3's real and fake ones. Of a sweep's point: with
  /// that rho or that many fakes.
  int64_t images_of_transfer(double rho = 0, int64_t count = 0);

  static Stream stream(int64_t seed, const std::string& purpose) {
    return Stream(static_cast<uint64_t>(seed)).fork(purpose);
  }
  /// Of teachers and generation.
  Stream stream(const std::string& purpose) const { return stream(settings.seed, purpose); }

 private:
  std::string expected_;
  std::unique_ptr<data::Split> data_;
  std::unique_ptr<data::Standardisation> standardisation_;
  std::unique_ptr<Task> task_;
};

/// Adds everything of `more`.
void add(Results& results, const Results& more);
/// What every trained network reports. Without test images the test metric is NaN, which results
/// carry as no value.
Results results_of(const train::SupervisedResult& result, const nn::Network& network,
                   const train::Criterion& criterion);

}  // namespace limbeck::kd
