#include "apps/report_theorem1_values.h"

#include <algorithm>
#include <cmath>

#include "apps/console.h"
#include "tensor/error.h"

namespace limbeck::report::theorem1 {

double value_of(const Subject& s, const std::string& key) {
  for (const Measure& m : measures_of(s, "theorem1"))
    if (m.key == key) return summarise(s.values(key, m.what)).mean;
  return std::nan("");
}

std::string number(double x) { return std::isnan(x) ? "-" : format_number(x); }

std::string with_error(const Subject& s, const std::string& key) {
  const double x = value_of(s, key), error = value_of(s, key + "_error");
  return std::isnan(x) ? "-" : cat(format_number(x), " ± ", format_number(error));
}

std::vector<Subject> measured(const Group& group) {
  std::vector<Subject> all = subjects_of(group);
  std::erase_if(all, [](const Subject& s) { return std::isnan(value_of(s, "right_side")); });
  return all;
}

std::string network_of(const Subject& s) {
  return s.pair.find(" > ") == std::string::npos ? s.pair : student_of(s.pair);
}

double lowest_loss(const std::vector<Subject>& subjects) {
  double lowest = std::nan("");
  for (const Subject& s : subjects)
    for (const char* key : {"student_loss", "first_loss", "teacher_loss"})
      lowest = std::fmin(lowest, value_of(s, key));  // of a number and NaN the number
  return lowest;
}

double lowest_loss_of(const std::string& network, const std::vector<Subject>& subjects) {
  double lowest = std::nan("");
  for (const Subject& s : subjects)
    for (const char* key : {"student_loss", "first_loss"})
      if (network_of(s) == network) lowest = std::fmin(lowest, value_of(s, key));
  return lowest;
}

}  // namespace limbeck::report::theorem1
