// The report's section on Theorem 1 (kd/theorem1.h): its terms for every student that learns from
// fakes, and how they move with the number of fakes and with the teacher.
#pragma once
#include <string>

#include "apps/report_groups.h"
#include "apps/report_tables.h"

namespace limbeck::report {

/// No rows without results of kind "theorem1". The note says in plain words whether the bound says
/// anything.
Table theorem1_table(const Group& group);
/// SVG: the terms over the number of fakes where the students differ in it, the distribution gap
/// over the teacher's loss where the teachers do; else empty.
std::string theorem1_charts(const Group& group);

}  // namespace limbeck::report
