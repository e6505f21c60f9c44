// How the terms of Theorem 1 move with the number of fakes and with the teacher that filters: over
// the students of a run (plan.counts, plan.judges) and over runs that differ in nothing else.
#pragma once
#include <string>
#include <vector>

#include "apps/report_groups.h"
#include "apps/report_tables.h"

namespace limbeck::report {

/// A row for each step to more fakes: by how much the terms and the measured error change. The note
/// says for each set of students, in plain words, whether bound and measurement agree. No rows
/// where nothing differs in the number of fakes alone.
Table theorem1_fakes_table(const std::vector<Group>& groups);

/// The distance between real and fake over the loss of the teacher that filtered, as a line: C_M1
/// and slope of assumption A3, with 95 % confidence intervals and R squared. No numbers, and a note
/// that says why, below five teachers; no rows where nothing differs in the teacher alone.
Table theorem1_teachers_table(const std::vector<Group>& groups);

/// SVG: the terms and the student's loss over the number of fakes, the distances over the teacher's
/// loss; empty where the tables are.
std::string theorem1_charts(const std::vector<Group>& groups);

}  // namespace limbeck::report
