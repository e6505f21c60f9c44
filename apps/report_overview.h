// The other tables of a report: generated images, every number, wall times, settings.
#pragma once
#include <vector>

#include "apps/report_groups.h"
#include "apps/report_tables.h"

namespace limbeck::report {

/// Results of kind "fakes".
Table fakes_table(const Group& group);
/// Every result of every finished stage.
Table full_table(const Group& group);
/// Of stages that have run, finished or not; the last row is their sum.
Table times_table(const Group& group);
/// Settings in which the runs differ, seeds included.
Table settings_table(const std::vector<RunRecord>& runs);

}  // namespace limbeck::report
