// Statistics of a report: means and deviations over repetitions, and differences with their
// standard errors.
#pragma once
#include <compare>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace limbeck::report {

/// Mean and sample deviation (n - 1) of the finite values; the deviation is 0 for n = 1.
struct Summary {
  int n = 0;
  double mean = 0, deviation = 0;
};
Summary summarise(const std::vector<double>& values);

/// What tells repetitions apart: the seed of the run, and that of the stage.
struct Repetition {
  std::string run, seed;
  auto operator<=>(const Repetition&) const = default;
};
using Repeated = std::map<Repetition, double>;
Summary summarise(const Repeated& values);

/// How a value ranks in its column.
enum class Mark { none, best, second };

struct Difference {
  double mean = 0;
  double standard_error = 0;  ///< NaN where a side has fewer than two values
  bool paired =
      /// by repetition: deviation of the differences / sqrt(n); else sqrt(s1^2/n1 + s2^2/n2)
      false;
  int n = 0, n_control = 0;  ///< values used; equal when paired
};
/// `values` minus `control`. Paired over the repetitions that both have when these are at least two
/// (others are left out then), or when each side has one and it is the same; otherwise the
/// difference of the means. Empty where a side has no finite value.
std::optional<Difference> difference(const Repeated& values, const Repeated& control);

}  // namespace limbeck::report
