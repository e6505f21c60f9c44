// What a command looks at before a run's first stage, and what --dry-run shows of it: the data and
// all settings, room on the disk, and finished stages that have other settings now.
#pragma once
#include <string>
#include <vector>

#include "apps/command.h"
#include "apps/run_plan.h"
#include "kd/workflow.h"

namespace limbeck {

/// What may become of finished stages whose settings have changed.
struct Permissions {
  bool replace = false;     ///< trained afresh; the old folder is kept as NAME.1, NAME.2, ...
  bool extend = false;      ///< trained on where only the length has grown (apps/extension.h)
  bool keep_state = false;  ///< not about old stages: new ones keep the last state for that
};
void add_permission_options(CommandLine& app, Permissions& permissions);

/// Workflow::read_inputs() with the identities that the run folder remembers, if it is one.
kd::KnownIdentities read_inputs(kd::Workflow& workflow, const std::string& directory);
/// Remembers them in the folder, which exists.
void remember(const kd::KnownIdentities& known, const std::string& directory);

/// Throws Error for what would keep the stages that are not finished from finishing.
void check_before_work(const kd::Workflow& workflow, const std::vector<PlannedStage>& plan,
                       const std::string& directory);

/// Prints the finished stages that have other settings now: why, and how long they took.
void print_changed(const std::vector<PlannedStage>& plan, const std::string& directory,
                   const Permissions& permissions);
/// Throws Error in one line when there are some of which `permissions` say nothing.
void expect_permission(const std::vector<PlannedStage>& plan, const std::string& directory,
                       const Permissions& permissions);

}  // namespace limbeck
