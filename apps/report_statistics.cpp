#include "apps/report_statistics.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace limbeck::report {

Summary summarise(const std::vector<double>& values) {
  std::vector<double> finite;
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite),
               [](double v) { return std::isfinite(v); });
  Summary s{static_cast<int>(finite.size())};
  if (finite.empty()) return s;
  // Equal values have no deviation, not that of the rounding of their mean.
  if (std::equal(finite.begin() + 1, finite.end(), finite.begin())) return {s.n, finite[0], 0};
  for (const double v : finite) s.mean += v / s.n;
  for (const double v : finite) s.deviation += (v - s.mean) * (v - s.mean);
  s.deviation = std::sqrt(s.deviation / (s.n - 1));
  return s;
}

Summary summarise(const Repeated& values) {
  std::vector<double> list;
  for (const auto& [repetition, value] : values) list.push_back(value);
  return summarise(list);
}

std::optional<Difference> difference(const Repeated& values, const Repeated& control) {
  const Summary a = summarise(values), b = summarise(control);
  if (a.n == 0 || b.n == 0) return std::nullopt;
  std::vector<double> differences;
  for (const auto& [repetition, value] : values)
    if (const auto other = control.find(repetition); other != control.end())
      differences.push_back(value - other->second);
  const Summary d = summarise(differences);
  if (d.n >= 2) return Difference{d.mean, d.deviation / std::sqrt(d.n), true, d.n, d.n};
  if (d.n == 1 && a.n == 1 && b.n == 1) return Difference{d.mean, std::nan(""), true, 1, 1};
  const double error =
      a.n > 1 && b.n > 1
          ? std::sqrt(a.deviation * a.deviation / a.n + b.deviation * b.deviation / b.n)
          : std::nan("");
  return Difference{a.mean - b.mean, error, false, a.n, b.n};
}

}  // namespace limbeck::report
