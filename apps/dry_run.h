// What --dry-run shows: the effective settings, the data, the stages, and what they will cost.
#pragma once
#include <string>
#include <vector>

#include "apps/before_work.h"
#include "apps/console.h"
#include "kd/settings.h"

namespace limbeck {

struct DryRun {
  const kd::Workflow& workflow;
  kd::ExperimentSettings& settings;
  const std::vector<PlannedStage>& plan;
  const std::string& out;
  const Permissions& permissions;
  bool measure = true;  ///< the cost, by a few steps of every stage that is left (apps/cost.h)
};
/// Prints it all to the standard output; the exit code.
int show_dry_run(const DryRun& dry_run, Console& console);

}  // namespace limbeck
