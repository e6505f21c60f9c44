// The cGAN-KD workflow as a graph of stages (Ding et al., "Distilling and transferring knowledge
// via cGAN-generated samples for image classification and regression", 2023). docs/workflow.md
// explains it.
#pragma once
#include <memory>
#include <vector>

#include "kd/experiment.h"
#include "kd/stage.h"

namespace limbeck::kd {

/// Teachers, gan, features, ratio, fakes_raw, fakes_m1, fakes, evaluate and the students of
/// kd/plan.h. Networks train on `device`; a run may go on another device than it began on (results
/// then differ by rounding).
class Workflow {
 public:
  /// Throws naming the key for names and values that cannot be.
  explicit Workflow(const ExperimentSettings& settings, Device device = cpu);
  /// Instead of students the logits of the first pair's teacher (kd/stored_logits.h).
  static Workflow of_logits(const ExperimentSettings& settings, Device device = cpu);
  const std::vector<Stage>& stages() const& { return stages_; }
  std::vector<Stage> stages() && { return std::move(stages_); }
  /// Loads the data and throws for what would keep a stage from finishing: data that do not fit the
  /// task, networks that do not take the images, pairs that a method cannot serve (all of them in
  /// one message).
  void check_data() const;
  /// Loaded when somebody asks first.
  const data::Split& data() const { return experiment_->data(); }

 private:
  std::shared_ptr<Experiment> experiment_;
  std::vector<Stage> stages_;
};

}  // namespace limbeck::kd
