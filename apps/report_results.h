// The tables of a report's result: methods x pairs with published numbers beside, and the
// differences to the controls.
#pragma once
#include <vector>

#include "apps/report_pivot.h"
#include "apps/report_published.h"
#include "apps/report_tables.h"

namespace limbeck::report {

/// Rows methods, columns pairs: mean ± deviation, in percent for shares; n at the end. A pair with
/// published numbers has a second column for them, and methods that only papers have come last.
Table pivot_table(const Pivot& pivot, const Group& group, const std::vector<Published>& published);
/// One row for each method and control: difference ± standard error, and how it was found. No rows
/// where there is no control.
Table gains_table(const Pivot& pivot, const Group& group);

/// The published numbers that fit no column of these tables.
std::vector<Published> without_column(const std::vector<Published>& published,
                                      const std::vector<Pivot>& pivots);

}  // namespace limbeck::report
