// Time per operator. LIMBECK_PROFILE=1 prints a table to stderr at exit, LIMBECK_PROFILE=shapes one
// row per operator and input shapes; programs may switch it on and read the rows themselves
// (`limbeck bench train --profile`). Costs one branch otherwise.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "ops/op.h"

namespace limbeck {

enum class ProfileDetail { off, operators, shapes };

/// Switches profiling of the whole process from now on and forgets what was measured.
void set_profile(ProfileDetail detail);

struct ProfileRow {
  std::string name;    ///< "conv2d backward [64,32,32,16] [16,3,3,16] {padding: 1}"
  double seconds = 0;  ///< of all calls
  double flops =
      /// of all calls, by the operator's own count, a backward as one forward per wanted gradient;
      /// 0: no count
      0;
  int64_t calls = 0;
};
/// What was measured so far, longest first.
std::vector<ProfileRow> profile_rows();

/// Measures one operator call while alive.
class ProfileScope {
 public:
  ProfileScope(const Op& op, const Tensors& in, const Attrs& attrs) {
    if (enabled()) [[unlikely]]
      begin(op, in, attrs);
  }
  ProfileScope(const Op& op, const std::vector<TensorSpec>& in, const std::vector<bool>& wanted,
               const Attrs& attrs) {
    if (enabled()) [[unlikely]]
      begin(op, in, wanted, attrs);
  }
  ~ProfileScope() {
    if (!name_.empty()) [[unlikely]]
      finish();
  }
  ProfileScope(const ProfileScope&) = delete;

 private:
  static bool enabled();
  void begin(const Op& op, const Tensors& in, const Attrs& attrs);
  void begin(const Op& op, const std::vector<TensorSpec>& in, const std::vector<bool>& wanted,
             const Attrs& attrs);
  void finish() const;
  std::string name_;
  double flops_ = 0;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace limbeck
