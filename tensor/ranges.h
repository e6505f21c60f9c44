// Ranges of settings: every check says key, what was expected and what was found.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tensor/error.h"

namespace limbeck {

/// Throw Error "KEY: expected ..., found ..." unless the value is in the range; NaN and infinities
/// are in none.
void expect_positive(const std::string& key, double value);
void expect_not_negative(const std::string& key, double value);
void expect_share(const std::string& key, double value);  ///< 0 or more, below 1
/// `low` to `high`, which is what no run reaches.
inline constexpr int64_t no_run_reaches = 1'000'000'000;
void expect_count(const std::string& key, int64_t low, int64_t value,
                  int64_t high = no_run_reaches);

/// What several checks have to say, for one message.
class Problems {
 public:
  /// Runs a check and notes what it throws, once.
  void collect(const std::function<void()>& check);
  bool empty() const { return list_.empty(); }
  /// Throws Error with all of them, "; " between.
  void throw_if_any() const;

 private:
  std::vector<std::string> list_;
};

}  // namespace limbeck
