// Parallel regions: the only place of ops_cpu that opens one (tests/layers_test.cpp), so that
// helpers compute as the thread that they help. And loops over a fixed partition of the work: it
// depends on the problem only, never on the number of threads, so that sums kept per part and added
// in order have the same bits for any number of threads.
#pragma once
#include <omp.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "ops/execution.h"
#include "ops_cpu/isa.h"

namespace limbeck {

enum class Walk { forwards, backwards };

/// Calls f() in every thread of a team, or in this one alone unless `worth`. All have the settings
/// of this thread (ops/execution.h). f must not throw; it may hold worksharing loops.
template <class F>
void parallel_region(F&& f, bool worth = true) {
  const Execution& mine = execution();
  current_isa();  // throws here what would end the program in a helper
#pragma omp parallel if (worth)
  {
    std::optional<ExecutionScope> inherited;
    if (omp_get_thread_num() != 0) inherited.emplace(mine);
    f();
  }
}

/// Calls f(part) for parts 0..count-1, each thread taking one contiguous range; serial when `work`
/// (in floats) is small. Walking backwards, a second pass starts with what the first one left in
/// the thread's cache. f must not throw.
template <class F>
void parallel_parts(int64_t count, int64_t work, F&& f, Walk walk = Walk::forwards) {
  parallel_region(
      [&] {
        const int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
        const int64_t begin = count * thread / threads, end = count * (thread + 1) / threads;
        for (int64_t i = begin; i < end; ++i) f(walk == Walk::forwards ? i : begin + end - 1 - i);
      },
      count > 1 && work > (1 << 14));
}

/// Calls f(begin, end) for consecutive ranges of `grain` elements of [0, n).
template <class F>
void parallel_ranges(int64_t n, int64_t grain, F&& f) {
  const int64_t count = (n + grain - 1) / grain;
  parallel_parts(count, n, [&](int64_t part) {
    f(part * grain, (part + 1) * grain < n ? (part + 1) * grain : n);
  });
}

/// Tasks 0..count-1 of a parallel region. A thread first does a contiguous range, the same share of
/// the problem as in parallel_parts, so that it finds in its cache what it wrote one operator
/// earlier; then it helps the others, so that a disturbed core delays nobody. Made before the
/// region; every thread of it calls run once. Tasks must not depend on who runs them.
class Tasks {
 public:
  explicit Tasks(int64_t count) : ranges_(static_cast<size_t>(omp_get_max_threads())) {
    const int64_t threads = static_cast<int64_t>(ranges_.size());
    for (int64_t t = 0; t < threads; ++t) {
      ranges_[t].next = count * t / threads;
      ranges_[t].end = count * (t + 1) / threads;
    }
  }

  template <class F>
  void run(F&& f) {
    const size_t mine = static_cast<size_t>(omp_get_thread_num());
    for (size_t k = 0; k < ranges_.size(); ++k) {
      Range& range = ranges_[(mine + k) % ranges_.size()];
      for (int64_t i; (i = range.next.fetch_add(1, std::memory_order_relaxed)) < range.end;) f(i);
    }
  }

 private:
  struct alignas(64) Range {
    std::atomic<int64_t> next = 0;
    int64_t end = 0;
  };
  std::vector<Range> ranges_;
};

/// Calls f(i) for tasks 0..count-1, in a parallel region of its own.
template <class F>
void parallel_tasks(int64_t count, F&& f) {
  Tasks tasks(count);
  parallel_region([&] { tasks.run(f); });
}

}  // namespace limbeck
