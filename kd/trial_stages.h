// What stages that train nothing cost: measured on a few images, counted for all of them
// (nn/trial.h).
#pragma once
#include "gan/metrics.h"
#include "kd/stages.h"

namespace limbeck::kd {

/// Of M1 so many of the proposed images are taken to be accepted: before a GAN is trained nobody
/// knows.
inline constexpr double assumed_acceptance = 0.5;

/// Writes a set of two images for each condition.
void try_fakes(Experiment& experiment, const FakeTask& task, const FakeSettings& settings,
               nn::Trial& trial);

struct EvaluationTrial {
  std::function<Tensor(const Tensor& images)> features;
  Judge judge;
  int64_t reference = 0;  ///< images of the Frechet distance's real side
  int64_t sets = 0;
};
void try_evaluation(Experiment& experiment, const EvaluationTrial& evaluation, nn::Trial& trial);

}  // namespace limbeck::kd
