// A straight line through points, with confidence intervals.
#pragma once
#include <vector>

namespace limbeck::report {

/// y = intercept + slope x by least squares. The half widths are those of 95 % confidence intervals
/// by Student's t with n - 2 degrees of freedom.
struct LineFit {
  double intercept = 0, slope = 0;
  double intercept_half = 0, slope_half = 0;
  double r_squared = 0;  ///< share of y's variance; NaN where y does not vary
};
/// Throws for fewer than three points, for lists of different lengths and for a single x.
LineFit fit_line(const std::vector<double>& x, const std::vector<double>& y);

/// What Student's t with so many degrees of freedom (at least 1) exceeds in size with probability
/// 5 %.
double student_t_95(int degrees);

}  // namespace limbeck::report
