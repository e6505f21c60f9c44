// A criterion: cross entropy against labels smoothed towards the uniform distribution.
#pragma once
#include "train/criterion.h"

namespace limbeck::train {

/// (1 - s) CE(output, labels) + s mean_c(-log softmax(output)_c), s in [0, 1).
class SmoothedCriterion : public ClassificationCriterion {
 public:
  explicit SmoothedCriterion(double smoothing) : smoothing_(smoothing) {}
  Variable loss(const Variable& output, const data::Batch& batch) const override {
    const Variable uniform = mean(log_softmax(output)) * -1.0;
    return ClassificationCriterion::loss(output, batch) * (1 - smoothing_) + uniform * smoothing_;
  }

 private:
  const double smoothing_;
};

}  // namespace limbeck::train
