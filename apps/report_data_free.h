// The table of students who saw no data: what they lose against their teacher, and against students
// of the same network who had the data.
#pragma once
#include "apps/report_groups.h"
#include "apps/report_tables.h"

namespace limbeck::report {

/// A row for each student with a result relative_to_teacher: its test measure, the gap to its
/// teacher, and its share of the teacher's and of the measure of the student that no method taught.
/// Which of the two CGDD's "relative accuracy" means its abstract does not say.
Table data_free_table(const Group& group);

}  // namespace limbeck::report
