// Numbers of a report as CSV for other programs: exact, in the units of the results (shares in [0,
// 1]).
#pragma once
#include <string>
#include <vector>

#include "apps/report_pivot.h"
#include "apps/report_published.h"

namespace limbeck::report {

/// One line for each run x stage x result: run, stage, the labels, key, value, unit, better, kind.
std::string results_csv(const std::vector<RunRecord>& runs);

/// One line for each cell of the pivots: group, key, unit, better, method, fakes, pair, n, mean,
/// deviation, rank (1, 2 or nothing); for each control the difference, its standard error and
/// whether it is paired; the published number.
std::string pivots_csv(const std::vector<Group>& groups, const std::vector<Published>& published);

}  // namespace limbeck::report
