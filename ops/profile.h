// Time per operator, printed to stderr at exit when LIMBECK_PROFILE=1 is set. Costs one branch otherwise.
#pragma once
#include <chrono>
#include <string>

namespace limbeck {

class ProfileScope {
 public:
  ProfileScope(const std::string& op, bool backward) : op_(op), backward_(backward) {
    if (enabled()) [[unlikely]] start_ = std::chrono::steady_clock::now();
  }
  ~ProfileScope() {
    if (enabled()) [[unlikely]] finish();
  }
  ProfileScope(const ProfileScope&) = delete;

 private:
  static bool enabled();
  void finish() const;
  const std::string& op_;
  bool backward_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace limbeck
