// What is looked at before any work: values of settings, whatever the data; then, stage by stage,
// what would keep it from finishing on these data.
#pragma once
#include <string>
#include <vector>

#include "data/dataset.h"
#include "kd/experiment.h"
#include "kd/plan.h"

namespace limbeck::kd {

/// Throws Error with the first thing that is wrong in each section of the settings.
void check_values(const ExperimentSettings& settings);

/// What can be followed and was hardly meant: a milestone behind the end of a training.
std::vector<std::string> remarks_on(const ExperimentSettings& settings);

/// Tries every pair of networks of the plan with every method on a probe, without training. What
/// does not fit, pair by pair in one text; empty: all of them do.
std::string unsupported_pairs(Experiment& experiment, const Plan& plan,
                              const data::ReplayedViews& stored);

// --- of stages: each throws for what would keep it from finishing --------------------------------

/// A training of a network on so many images (0: the training images); `section` names its
/// settings. `drop_last`: incomplete batches are left out.
/// Each throws naming the key.
DiskUse check_training(Experiment& experiment, const nn::Network& network,
                       const train::Settings& settings, const std::string& section,
                       int64_t images = 0, bool drop_last = false);
DiskUse check_student(Experiment& experiment, const Student& student);
DiskUse check_embedding(Experiment& experiment);
DiskUse check_autoencoder(Experiment& experiment);
DiskUse check_features(Experiment& experiment);
DiskUse check_gan(Experiment& experiment);
DiskUse check_ratio(Experiment& experiment);
/// A set with these settings.
/// Throws naming the key.
DiskUse check_fakes(Experiment& experiment, const FakeSettings& settings);
/// Throws naming the key.
DiskUse check_evaluation(Experiment& experiment);

}  // namespace limbeck::kd
