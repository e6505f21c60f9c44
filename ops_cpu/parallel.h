// Loops over a fixed partition of the work. The partition depends on the problem only, never on the number of threads, so that sums
// kept per part and added in order have the same bits for any number of threads.
#pragma once
#include <omp.h>

#include <cstdint>

namespace limbeck {

enum class Walk { forwards, backwards };

/// Calls f(part) for parts 0..count-1, each thread taking one contiguous range; serial when `work` (in floats) is small. Walking
/// backwards, a second pass starts with what the first one left in the thread's cache. f must not throw.
template <class F>
void parallel_parts(int64_t count, int64_t work, F&& f, Walk walk = Walk::forwards) {
#pragma omp parallel if (count > 1 && work > (1 << 14))
  {
    const int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
    const int64_t begin = count * thread / threads, end = count * (thread + 1) / threads;
    for (int64_t i = begin; i < end; ++i) f(walk == Walk::forwards ? i : begin + end - 1 - i);
  }
}

/// Calls f(begin, end) for consecutive ranges of `grain` elements of [0, n).
template <class F>
void parallel_ranges(int64_t n, int64_t grain, F&& f) {
  const int64_t count = (n + grain - 1) / grain;
  parallel_parts(count, n, [&](int64_t part) { f(part * grain, (part + 1) * grain < n ? (part + 1) * grain : n); });
}

}  // namespace limbeck
