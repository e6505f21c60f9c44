// Learning-rate schedules.
#pragma once
#include <cstdint>
#include <vector>

namespace limbeck::nn {

/// lr0 * factor^(number of milestones d passed). RepDistiller drops when e > d, the feature and
/// density-ratio nets when e >= d (e 0-based).
struct StepSchedule {
  double lr0;
  std::vector<double> milestones;
  double factor = 0.1;
  bool strict = true;  ///< e > d (RepDistiller); false: e >= d
  double operator()(double epoch) const;
};

/// Half a cosine from lr0 at 0 to `last` at `length`, then `last` (Loshchilov & Hutter 2017,
/// without restarts).
struct CosineSchedule {
  double lr0, last, length;
  double operator()(double t) const;
};

/// Factor of a linear warm-up (Goyal et al. 2017): 1/n, 2/n, ... 1 in the first n steps, then 1.
double warm_up(int64_t step, int64_t n);

}  // namespace limbeck::nn
