// Trial: loops that run only to find what they will cost. A loop does a few steps, says how many
// there would be, and returns as if it had ended; so do stages, whose products are then untrained.
#pragma once
#include <chrono>
#include <cstdint>

namespace limbeck::nn {

/// What loops found so far. Sums, so that a stage may have several loops.
struct TrialCost {
  int64_t steps = 0;            ///< of all loops together
  double seconds = 0;           ///< of all these steps and of what comes with them
  double seconds_per_step = 0;  ///< of the loop with the most steps
  int64_t more_bytes = 0;       ///< of memory, beyond what the trial itself needed
  int64_t more_disk = 0;        ///< likewise
};

class Trial {
 public:
  /// A loop ends after about this long.
  explicit Trial(double seconds = 0.5) : budget_(seconds) {}

  /// Called when a step of a loop of `total` steps has ended, its results read. Whether the loop
  /// shall end. The first step is not counted: memory is taken and kernels are chosen in it.
  bool enough(int64_t total) {
    const auto now = Clock::now();
    if (done_++ == 0) {
      begun_ = now;
      return total <= 1 && end(total, std::chrono::duration<double>(now - made_).count());
    }
    const double seconds = std::chrono::duration<double>(now - begun_).count();
    if (done_ < total && (seconds < budget_ && done_ < longest)) return false;
    return end(total, seconds / static_cast<double>(done_ - 1));
  }

  /// Something that a whole run does `times` over, of which one took `seconds`.
  void add(double times, double seconds) { cost.seconds += times * seconds; }
  /// Runs it once and adds it.
  template <class F>
  void measure(double times, F&& once) {
    const auto begun = Clock::now();
    once();
    add(times, std::chrono::duration<double>(Clock::now() - begun).count());
  }

  TrialCost cost;

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int64_t longest = 200;  // steps

  bool end(int64_t total, double per_step) {
    if (total > cost.steps) cost.seconds_per_step = per_step;
    cost.steps += total;
    add(static_cast<double>(total), per_step);
    done_ = 0;
    return true;
  }

  const double budget_;
  int64_t done_ = 0;
  Clock::time_point made_ = Clock::now(), begun_;
};

}  // namespace limbeck::nn
