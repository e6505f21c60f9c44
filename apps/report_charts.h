// The charts of a report's page: curves of the stages, students side by side, consistency per
// class.
#pragma once
#include <string>

#include "apps/report_groups.h"

namespace limbeck::report {

/// The curves of a subject, one line per repetition. Keys that are results of the same unit and
/// direction share a chart, and so do keys with the same text before a '/'.
std::string subject_charts(const Subject& subject);
/// The curves of results of kind "test" of all students and teachers: one chart per key and pair.
std::string comparison_charts(const Group& group);
/// Label consistency per class before and after filtering, from the counts that the stages of fake
/// images log; else empty.
std::string consistency_chart(const StageRecord& stage);

}  // namespace limbeck::report
