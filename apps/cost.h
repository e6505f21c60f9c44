// What the stages of a run will cost on this machine, found by a few steps of each (nn/trial.h).
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "apps/run_plan.h"

namespace limbeck {

struct StageCost {
  std::vector<const kd::Stage*> stages;  ///< that differ in nothing but the seed: tried once
  int64_t steps = 0;                     ///< of one of them, as are all numbers
  double seconds_per_step = 0;
  double seconds = 0;
  int64_t memory = 0, device_memory = 0;  ///< bytes, peak
  int64_t disk = 0;                       ///< bytes of what it leaves
  std::string unknown;                    ///< why there are no numbers; empty: there are
};

/// Tries the stages that are not finished, in a folder for temporary files that is removed; what
/// they need and is not finished in `directory` is made untrained. Tells each as it is found, and
/// ends early when it is told false.
std::vector<StageCost> measure_costs(const std::vector<PlannedStage>& plan,
                                     const std::string& directory, Device device,
                                     const std::function<bool(const StageCost&)>& tell);

/// Name and title of all of them, without the seed.
std::string name_of(const StageCost& cost);

}  // namespace limbeck
