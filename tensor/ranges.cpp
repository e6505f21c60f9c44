#include "tensor/ranges.h"

#include <algorithm>
#include <cmath>

namespace limbeck {

void expect_positive(const std::string& key, double value) {
  LIMBECK_CHECK(std::isfinite(value) && value > 0, key, ": expected a positive number, found ",
                value);
}

void expect_not_negative(const std::string& key, double value) {
  LIMBECK_CHECK(std::isfinite(value) && value >= 0, key, ": expected 0 or more, found ", value);
}

void expect_share(const std::string& key, double value) {
  LIMBECK_CHECK(value >= 0 && value < 1, key, ": expected 0 or more and below 1, found ", value);
}

void expect_count(const std::string& key, int64_t low, int64_t value, int64_t high) {
  LIMBECK_CHECK(value >= low, key, ": expected ", low == 0 ? "0 or more" : cat("at least ", low),
                ", found ", value);
  LIMBECK_CHECK(value <= high, key, ": expected at most ", high, ", found ", value);
}

void Problems::collect(const std::function<void()>& check) {
  try {
    check();
  } catch (const Error& e) {
    if (std::find(list_.begin(), list_.end(), e.what()) == list_.end()) list_.push_back(e.what());
  }
}

void Problems::throw_if_any() const {
  std::string all;
  for (const std::string& p : list_) all += (all.empty() ? "" : "; ") + p;
  if (!all.empty()) throw Error(all);
}

}  // namespace limbeck
