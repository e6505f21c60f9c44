// The report's table on Theorem 1 (kd/theorem1.h): its terms for every student that learns from
// fakes.
#pragma once
#include "apps/report_groups.h"
#include "apps/report_tables.h"

namespace limbeck::report {

/// No rows without results of kind "theorem1"; columns that nothing fills are left out. The note
/// says in plain words whether the bound says anything.
Table theorem1_table(const Group& group);

}  // namespace limbeck::report
