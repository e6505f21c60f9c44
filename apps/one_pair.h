// What `limbeck distill` and `limbeck logits` share: a run with one teacher that is there already.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "apps/before_work.h"
#include "apps/command.h"
#include "apps/device_option.h"
#include "kd/workflow.h"

namespace limbeck {

struct OnePairArguments {
  std::string teacher, out, config, data, data_path;
  std::vector<std::string> overrides;
  std::shared_ptr<DeviceOptions> device;
  std::shared_ptr<std::string> kernels;
  int threads = 0;
  double checkpoint_seconds = 60;
  bool dry_run = false, no_measure = false, quiet = false, tensorboard = false;
  Permissions permissions;
};

/// All but --teacher, which not each of them requires.
void add_one_pair_options(CommandLine& app, OnePairArguments& arguments);

/// The file, then --set, then --data and --data-path.
kd::ExperimentSettings settings_of(const OnePairArguments& arguments);

/// Runs the workflow's stages, or prints them with --dry-run; `done` is the last line but for the
/// folder of the last stage, which follows it. The exit code: 0, or 3 when interrupted.
int run_one_pair(const OnePairArguments& arguments, kd::ExperimentSettings& settings,
                 kd::Workflow workflow, const std::string& done, const std::string& file);

}  // namespace limbeck
