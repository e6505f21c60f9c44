// The vicinities of a batch of CcGAN (gan/vicinity.h): 512 targets, 12,000 images of 2,000 distinct
// responses. By bisection of the sorted responses, and by scanning all of them for every target, as
// the original does.
//   build/limbeck_bench --benchmark_filter=vicinity
#include <benchmark/benchmark.h>

#include "gan/vicinity.h"

namespace limbeck::gan {
namespace {

constexpr int64_t images = 12'000, distinct = 2'000, batch = 512;

const std::vector<float>& responses() {
  static const std::vector<float> all = [] {
    std::vector<float> values;
    Stream stream(1);
    for (int64_t i = 0; i < images; ++i)
      values.push_back(static_cast<float>(stream.below(distinct)) / static_cast<float>(distinct));
    return values;
  }();
  return all;
}

struct Case {
  SortedResponses sorted{responses()};
  Vicinity vicinity;
  std::vector<double> targets;
  explicit Case(const std::string& type)
      : vicinity(vicinity_of(sorted, {.type = type, .sigma = -1, .kappa = -5})) {
    Stream stream(2);
    for (int64_t i = 0; i < batch; ++i) targets.push_back(draw_target(sorted, vicinity, stream));
  }
};

void bisect(benchmark::State& state, const std::string& type) {
  const Case c(type);
  for (auto _ : state)
    for (const double y : c.targets) benchmark::DoNotOptimize(c.vicinity.range(c.sorted, y));
}

/// The images in the vicinity of each target, by looking at all of them.
void scan(benchmark::State& state, const std::string& type) {
  const Case c(type);
  const std::vector<float>& all = responses();
  std::vector<int64_t> near;
  for (auto _ : state)
    for (const double y : c.targets) {
      near.clear();
      for (size_t i = 0; i < all.size(); ++i)
        if (c.vicinity.holds(static_cast<double>(all[i]), y))
          near.push_back(static_cast<int64_t>(i));
      benchmark::DoNotOptimize(near.data());
    }
}

/// All that an update draws: targets, images, responses of the fakes, weights.
void draw(benchmark::State& state, const std::string& type) {
  const Case c(type);
  Stream stream(3);
  for (auto _ : state)
    for (int64_t i = 0; i < batch; ++i)
      benchmark::DoNotOptimize(draw_vicinal(c.sorted, c.vicinity, stream));
}

void sort_responses(benchmark::State& state) {  // once for a training
  for (auto _ : state) benchmark::DoNotOptimize(SortedResponses(responses()));
}

const bool registered = [] {
  for (const std::string type : {"hard", "soft"})
    for (const auto& [name, run] :
         {std::pair{"bisection", &bisect}, {"scan", &scan}, {"draw", &draw}})
      benchmark::RegisterBenchmark(cat("vicinity/", type, "/", name).c_str(), run, type)
          ->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("vicinity/sort", sort_responses)->Unit(benchmark::kMicrosecond);
  return true;
}();

}  // namespace
}  // namespace limbeck::gan
