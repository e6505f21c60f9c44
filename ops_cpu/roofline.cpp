#include "ops_cpu/roofline.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "ops_cpu/parallel.h"

namespace limbeck {
namespace {

/// Best seconds of several parallel runs of f(thread).
template <class F>
double best_seconds(F&& f) {
  double best = 1e300;
  for (int run = 0; run < 5; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    parallel_region([&] { f(omp_get_thread_num()); });
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

}  // namespace

double Roofline::seconds(double bytes, double flops) const {
  return std::max(bytes / bytes_per_second, flops / flops_per_second);
}

Roofline measure_roofline() {
  const int threads = omp_get_max_threads();
  Roofline result;
  const size_t bytes = size_t{64} << 20;
  {
    std::vector<std::vector<char>> from(threads), to(threads);
    parallel_region([&] {  // pages are touched by the thread that uses them
      from[omp_get_thread_num()].assign(bytes, 1);
      to[omp_get_thread_num()].assign(bytes, 2);
    });
    const double seconds =
        best_seconds([&](int t) { std::memcpy(to[t].data(), from[t].data(), bytes); });
    result.bytes_per_second = 2.0 * static_cast<double>(bytes) * threads / seconds;
  }
  const RooflineKernels& kernels = roofline_kernels();
  const int64_t rounds = 1 << 20;
  std::vector<float> sink(threads);
  const double seconds = best_seconds([&](int t) { sink[t] = kernels.multiply_adds(rounds); });
  result.flops_per_second =
      static_cast<double>(rounds * kernels.flops_per_round) * threads / seconds;
  return result;
}

}  // namespace limbeck
