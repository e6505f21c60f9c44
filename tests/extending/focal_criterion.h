// A criterion: cross entropy with less weight on images that are classified well already.
#pragma once
#include "train/criterion.h"

namespace limbeck::train {

/// Focal loss (Lin et al. 2017): mean of (1 - p)^gamma (-log p), p = softmax(output) of the label.
class FocalCriterion : public ClassificationCriterion {
 public:
  explicit FocalCriterion(double gamma) : gamma_(gamma) {}
  Variable loss(const Variable& output, const data::Batch& batch) const override {
    const Variable hard = cross_entropy(output, batch.labels, Reduction::none);
    return mean(pow(-exp(-hard) + 1.0, gamma_) * hard);
  }

 private:
  const double gamma_;
};

}  // namespace limbeck::train
