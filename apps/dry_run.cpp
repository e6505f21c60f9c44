#include "apps/dry_run.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "apps/config.h"
#include "apps/cost.h"
#include "apps/data_summary.h"
#include "apps/run_settings.h"
#include "apps/signals.h"

namespace limbeck {
namespace {

const char* name_of(StageState state) {
  switch (state) {
    case StageState::finished: return "done";
    case StageState::changed: return "changed";
    case StageState::unfinished: return "unfinished";
    case StageState::missing: return "to do";
    case StageState::failed: return "failed";
  }
  return "";
}

void print_plan(const std::vector<PlannedStage>& plan) {
  std::printf("\n%-24s %-11s %s\n", "stage", "state", "what");
  for (const auto& p : plan) {
    std::printf("%-24s %-11s %s", p.stage->name.c_str(), name_of(p.state), p.stage->title.c_str());
    if (!p.why.empty()) std::printf(" (%s: %s)", name_of(p.state), p.why.c_str());
    std::printf("\n");
  }
}

std::string title_without_seed(const kd::Stage& stage) {
  const size_t at = stage.title.rfind(", seed ");
  return at == std::string::npos ? stage.title : stage.title.substr(0, at);
}

void print_cost(const StageCost& c) {
  const size_t n = c.stages.size();
  const std::string name = cat(name_of(c), n > 1 ? cat(" x ", n) : "");
  if (!c.unknown.empty()) {
    std::printf("%-36s not measured: %s\n", name.c_str(), c.unknown.c_str());
    return;
  }
  const std::string per_step = c.steps > 0 ? format_number(c.seconds_per_step) : "-",
                    memory = format_bytes(std::max(c.memory, c.device_memory));
  std::printf("%-36s %9lld %9s %12s %9s %9s  %s\n", name.c_str(), static_cast<long long>(c.steps),
              per_step.c_str(), format_duration(c.seconds).c_str(), memory.c_str(),
              format_bytes(c.disk).c_str(), title_without_seed(*c.stages[0]).c_str());
  std::fflush(stdout);
}

/// What other processes took of the processors while costs were measured since `wall` and `cpu`.
void print_busyness(std::chrono::steady_clock::time_point wall, std::clock_t cpu) {
  const double waited =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
  const double computed = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  const double share = computed / (waited * omp_get_max_threads());
  if (share < 0.7)
    std::printf("The machine is busy with other things: these threads ran %.0f %% of the time.\n",
                100 * share);
}

/// What is left of the run, by a few steps of every stage.
void print_costs(const std::vector<PlannedStage>& plan, const std::string& out, Device device) {
  std::printf("\n%-36s %9s %9s %12s %9s %9s  %s\n", "cost of one", "steps", "s a step", "time",
              "memory", "disk", "what");
  const auto wall = std::chrono::steady_clock::now();
  const std::clock_t cpu_time = std::clock();
  StageCost sum;
  size_t stages = 0, unknown = 0;
  const StopSignals signals;
  const auto tell = [](const StageCost& c) {
    print_cost(c);
    return !StopSignals::requested();
  };
  for (const StageCost& c : measure_costs(plan, out, device, tell)) {
    const auto n = static_cast<int64_t>(c.stages.size());
    stages += c.stages.size(), unknown += c.unknown.empty() ? 0 : c.stages.size();
    sum.seconds += static_cast<double>(n) * c.seconds, sum.disk += n * c.disk;
    sum.steps += n * c.steps;
    sum.memory = std::max({sum.memory, c.memory, c.device_memory});
  }
  if (StopSignals::requested()) return;
  std::printf("%-36s %9lld %9s %12s %9s %9s\n", cat("sum of ", stages, ", largest memory").c_str(),
              static_cast<long long>(sum.steps), "", format_duration(sum.seconds).c_str(),
              format_bytes(sum.memory).c_str(), format_bytes(sum.disk).c_str());
  if (unknown > 0) std::printf("without %zu stages that were not measured\n", unknown);
  std::printf(
      "Measured on %s by a few steps of each stage with untrained networks, one process at a time. "
      "Of the images that M1 proposes half are taken to be accepted. Checkpoints of running stages "
      "take disk besides.\n",
      device == cpu
          ? cat(omp_get_max_threads(), omp_get_max_threads() == 1 ? " thread" : " threads").c_str()
          : cat(device).c_str());
  if (device == cpu) print_busyness(wall, cpu_time);
}

}  // namespace

int show_dry_run(const DryRun& d, Console& console) {
  std::printf("%s", to_toml(list_settings(d.settings)).c_str());
  print_data_summary(d.settings.data, d.workflow.data(), console);
  print_plan(d.plan);
  print_changed(d.plan, d.out, d.permissions);
  for (const std::string& remark : d.workflow.remarks()) console.note(remark);
  if (d.measure) print_costs(d.plan, d.out, d.workflow.device());
  return StopSignals::requested() ? exit_interrupted : 0;
}

}  // namespace limbeck
