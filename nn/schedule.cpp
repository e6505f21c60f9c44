#include "nn/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace limbeck::nn {

double StepSchedule::operator()(double epoch) const {
  double lr = lr0;
  for (double d : milestones)
    if (strict ? epoch > d : epoch >= d) lr *= factor;
  return lr;
}

double CosineSchedule::operator()(double t) const {
  const double done = length > 0 ? std::clamp(t / length, 0.0, 1.0) : 1;
  return last + (lr0 - last) * (1 + std::cos(std::numbers::pi * done)) / 2;
}

double warm_up(int64_t step, int64_t n) {
  return step < n ? static_cast<double>(step + 1) / static_cast<double>(n) : 1;
}

}  // namespace limbeck::nn
