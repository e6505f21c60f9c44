// Graphs of stages in tests.
#pragma once
#include <map>
#include <string>

#include "kd/workflow.h"
#include "tests/kd/method_settings.h"

namespace limbeck::kd {

using Stages = std::map<std::string, Stage>;

inline Stages graph(const ExperimentSettings& s) {
  Stages by_name;
  for (const Stage& stage : Workflow(s).stages()) by_name.emplace(stage.name, stage);
  return by_name;
}

/// A few images with responses.
inline ExperimentSettings with_responses() {
  ExperimentSettings s;
  s.task = "regression";
  s.gan.arch = "sagan";
  s.data.kind = "bars";
  for (const char* part : {"train", "test"})
    SetField<int64_t>(s.data.sources.at("bars"), part, int64_t{20});
  s.distillation.method = "fitnet";
  s.teacher.model = "resnet14";
  s.embedding.net = "ResNet18_embed";
  return s;
}

}  // namespace limbeck::kd
