// Networks that a stage trains to stand between teacher and student: TAKD's assistants, HKD's
// auxiliary teacher.
#pragma once
#include "kd/distillation.h"

namespace limbeck::kd {

/// Throws Error with the setting's `key` for a name that is no network.
void check_assistant(const std::string& model, const std::string& key);

/// A network of its own with the weights of the pair's teacher, on the same device.
std::unique_ptr<nn::Network> copy_of_teacher(const PreparationContext& context);

/// Draws the weights of `model`, a name in the model registry, trains it on the context's data
/// under `distillation` and writes it. Throws Error for an unknown name.
void train_assistant(PreparationContext& context, const std::string& model,
                     Distillation& distillation, const train::Settings& training);

/// What train_assistant wrote into a stage's folder.
std::unique_ptr<nn::Network> load_assistant(const std::string& directory, Device device);

}  // namespace limbeck::kd
