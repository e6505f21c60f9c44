// The cGAN-KD workflow as a graph of stages (Ding et al., "Distilling and transferring knowledge
// via cGAN-generated samples for image classification and regression", 2023). docs/workflow.md
// explains it.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kd/experiment.h"
#include "kd/stage.h"

namespace limbeck::kd {

/// Identities of files and data sets that were read before, by what the file system said of them
/// (data/identity.h): a large set is read once.
class KnownIdentities {
 public:
  /// The known one, or what `read` finds, which is remembered unless the files are `fresh`.
  std::string find(const std::string& state, bool fresh, const std::function<std::string()>& read);
  /// By a checksum of the state.
  std::map<std::string, std::string> entries;
};

/// Teachers, gan, features, ratio, fakes_raw, fakes_m1, fakes, evaluate and the students of
/// kd/plan.h. Networks train on `device`; a run may go on another device than it began on (results
/// then differ by rounding).
class Workflow {
 public:
  /// Throws naming the keys for names and values that cannot be.
  explicit Workflow(const ExperimentSettings& settings, Device device = cpu);
  /// Instead of students the logits of the first pair's teacher (kd/stored_logits.h).
  static Workflow of_logits(const ExperimentSettings& settings, Device device = cpu);
  const std::vector<Stage>& stages() const& { return stages_; }
  std::vector<Stage> stages() && { return std::move(stages_); }
  /// Loaded when somebody asks first.
  const data::Split& data() const { return experiment_->data(); }
  Device device() const { return experiment_->device; }
  /// What can be followed and was hardly meant, a line each.
  std::vector<std::string> remarks() const;
  /// Makes what the stages read (the data, saved networks and fakes) a part of their settings: its
  /// content, not its name (kd/inputs.cpp). Reads only what `known` does not know. Throws when
  /// something is missing.
  void read_inputs(KnownIdentities& known);
  /// Loads the data and throws for what would keep a stage from finishing, as much as possible in
  /// one message: data that do not fit the task, networks that do not take the images, pairs that a
  /// method cannot serve; of the `chosen` stages, by name, also what their own checks say. Returns
  /// about how much disk these take: all that is kept, and the most that passes at one time.
  DiskUse check_data(const std::vector<std::string>& chosen) const;
  /// Of all stages.
  DiskUse check_data() const;

 private:
  std::shared_ptr<Experiment> experiment_;
  std::vector<Stage> stages_;
};

}  // namespace limbeck::kd
