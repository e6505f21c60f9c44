// Finished stages whose settings have changed: whether they can be trained on (--extend), and how
// the old folder is kept. Callers of what changes folders hold the stage's lock.
#pragma once
#include <string>

#include "apps/run_plan.h"

namespace limbeck {

/// Whether the stage's folder holds a finished stage with other settings.
bool is_superseded(const std::string& directory, const PlannedStage& p);

/// Of such a stage: whether nothing has changed but its length, which has grown, and milestones
/// that lie beyond the old end.
bool grew(const std::string& directory, const PlannedStage& p);
/// Why such a stage cannot be trained on from its last state; empty: it can.
std::string why_not_extended(const std::string& directory, const PlannedStage& p);

/// Gives the folder of a finished stage another name, NAME.1 or the next that is free.
void keep_finished(const std::string& directory, const std::string& stage);

/// Makes a folder of a stage that was interrupted at the end of its old length, and keeps the
/// finished one. A kill leaves the one or the other, or recover_extension() finds it.
void begin_extension(const std::string& directory, const PlannedStage& p);
/// Where a kill came between the two names: gives the new folder its own.
bool recover_extension(const std::string& directory, const PlannedStage& p);

}  // namespace limbeck
