#include "data/responses.h"

#include <algorithm>
#include <cmath>

namespace limbeck::data {

void check_response_settings(const ResponseSettings& s, const std::string& section) {
  LIMBECK_CHECK(
      !s.scale_given() || (std::isfinite(s.low) && std::isfinite(s.high) && s.low < s.high),
      section, ".response_low and response_high: expected the first below the second, found ",
      s.low, " and ", s.high);
  LIMBECK_CHECK(!s.cuts() || (std::isfinite(s.from) && std::isfinite(s.to) && s.from < s.to),
                section,
                ".response_from and response_to: expected the first below the second, found ",
                s.from, " and ", s.to);
  LIMBECK_CHECK(!s.wraps || s.scale_given(), section,
                ".response_wraps: expected response_low and response_high, the ends that meet");
}

void check_responses(const std::vector<double>& responses, const ResponseSettings& s,
                     const std::string& section, const std::function<std::string(size_t)>& place) {
  const auto low = static_cast<float>(s.low), high = static_cast<float>(s.high);
  for (size_t i = 0; i < responses.size(); ++i) {
    const auto y = static_cast<float>(responses[i]);
    LIMBECK_CHECK(std::isfinite(y), place(i), ": response ", responses[i],
                  ", expected a finite number");
    LIMBECK_CHECK(!s.scale_given() || !s.holds(responses[i]) || (y >= low && y <= high), place(i),
                  ": response ", responses[i], ", expected ", s.low, "..", s.high, " (", section,
                  ".response_low and response_high)");
  }
}

std::vector<int64_t> kept_rows(const std::vector<double>& responses, const ResponseSettings& s) {
  std::vector<int64_t> rows;
  for (size_t i = 0; i < responses.size(); ++i)
    if (s.holds(responses[i])) rows.push_back(static_cast<int64_t>(i));
  return rows;
}

ResponseScale response_scale(const std::vector<double>& training, const ResponseSettings& s,
                             const std::string& section, const std::string& file) {
  LIMBECK_CHECK(
      !training.empty(), file, ": expected training responses",
      s.cuts() ? cat(" within ", section, ".response_from and response_to, ", s.from, "..", s.to)
               : "",
      ", found none");
  if (s.scale_given()) return {s.low, s.high, s.unit, s.wraps, s.truncate};
  const auto [low, high] = std::minmax_element(training.begin(), training.end());
  LIMBECK_CHECK(*low < *high, file, ": expected different training responses, found only ", *low,
                "; ", section, ".response_low and response_high can give the scale");
  return {*low, *high, s.unit, false, s.truncate};
}

}  // namespace limbeck::data
