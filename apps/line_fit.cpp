#include "apps/line_fit.h"

#include <algorithm>
#include <cmath>

#include "tensor/error.h"

namespace limbeck::report {
namespace {

/// Probability of |t| <= bound: Simpson's rule over the density.
double probability_within(double bound, double degrees) {
  constexpr int cells = 2000;
  const double scale = std::exp(std::lgamma((degrees + 1) / 2) - std::lgamma(degrees / 2)) /
                       std::sqrt(degrees * std::acos(-1.0));
  const double h = bound / cells;
  double sum = 0;
  for (int i = 0; i <= cells; ++i) {
    const double weight = i == 0 || i == cells ? 1 : i % 2 == 1 ? 4 : 2;
    sum += weight * std::pow(1 + i * h * i * h / degrees, -(degrees + 1) / 2);
  }
  return 2 * scale * sum * h / 3;
}

}  // namespace

double student_t_95(int degrees) {
  LIMBECK_CHECK(degrees >= 1, "student_t_95: expected at least one degree of freedom, found ",
                degrees);
  double low = 1, high = 20;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (probability_within(middle, degrees) < 0.95 ? low : high) = middle;
  }
  return low;
}

LineFit fit_line(const std::vector<double>& x, const std::vector<double>& y) {
  LIMBECK_CHECK(x.size() == y.size() && x.size() >= 3,
                "fit_line: expected at least three points, found ", x.size(), " and ", y.size(),
                " numbers");
  const auto n = static_cast<double>(x.size());
  double mx = 0, my = 0, xx = 0, xy = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) mx += x[i] / n, my += y[i] / n;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mx) * (x[i] - mx), xy += (x[i] - mx) * (y[i] - my);
    yy += (y[i] - my) * (y[i] - my);
  }
  LIMBECK_CHECK(xx > 0, "fit_line: all points have the same x, ", mx);
  LineFit f;
  f.slope = xy / xx, f.intercept = my - f.slope * mx;
  f.r_squared = yy > 0 ? xy * xy / (xx * yy) : std::nan("");
  const double variance = std::max(0.0, yy - f.slope * xy) / (n - 2);
  const double t = student_t_95(static_cast<int>(x.size()) - 2);
  f.slope_half = t * std::sqrt(variance / xx);
  f.intercept_half = t * std::sqrt(variance * (1 / n + mx * mx / xx));
  return f;
}

}  // namespace limbeck::report
