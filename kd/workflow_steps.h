// What the stages of the workflow do. kd/workflow.cpp puts them into a graph.
#pragma once
#include <memory>
#include <string>

#include "kd/checkpoint.h"
#include "kd/workflow.h"

namespace limbeck::kd {

/// The settings and what several stages share; made once per graph. The data are loaded when the first stage asks for them.
class World {
 public:
  World(const WorkflowSettings& settings, Device device) : settings(settings), device(device) {}
  const WorkflowSettings settings;
  const Device device;  ///< where networks train; no part of any fingerprint
  const data::Split& data();
  /// Mean and deviation of the real training images.
  const data::Standardisation& standardisation();
  /// What a network for these data looks like from outside.
  nn::ModelOptions options();
  const Criterion& criterion();
  /// The stream of one stage.
  Stream stream(const std::string& stage) const { return Stream(static_cast<uint64_t>(settings.seed)).fork(stage); }
  /// Fake images that M3 trains on, known before they exist.
  int64_t fakes_used();

 private:
  std::unique_ptr<data::Split> data_;
  std::unique_ptr<data::Standardisation> standardisation_;
  std::unique_ptr<Criterion> criterion_;
};

/// From scratch on the real images; with the distillation method when `teacher_stage` is not empty. `init` names the stream of the first
/// weights: the stages of the student share one.
void train_from_scratch(World& world, StageContext& context, const std::string& stage, const ClassifierSettings& settings, const std::string& init,
                        const std::string& teacher_stage = {});

/// The student's second phase, from the NOKD checkpoint: on real + the fakes of `fakes_stage`, or, when that is empty, on the real
/// images alone with as many steps; with the distillation method when `teacher_stage` is not empty.
void train_second_phase(World& world, StageContext& context, const std::string& stage, const std::string& fakes_stage, const std::string& teacher_stage = {});

void train_gan(World& world, StageContext& context);
void train_features(World& world, StageContext& context);
void train_density_ratio(World& world, StageContext& context);
/// subsample, filter: M1 and M2 on or off, over what the settings say.
void make_fakes(World& world, StageContext& context, const std::string& stage, bool subsample, bool filter);
/// `classifiers`: the stages whose accuracies make the table.
void evaluate_fakes(World& world, StageContext& context, const std::vector<std::string>& classifiers);

}  // namespace limbeck::kd
