// Criterion: what a network is asked to match on labelled images, and how its quality is counted.
#pragma once
#include <memory>

#include "autograd/functions.h"
#include "data/dataset.h"
#include "train/result.h"

namespace limbeck::train {

class Criterion {
 public:
  virtual ~Criterion() = default;
  /// Throws when the data set does not carry what this criterion needs, or the network's outputs do
  /// not fit it.
  virtual void check(const data::Dataset& dataset, int64_t outputs) const = 0;
  /// Mean loss over the batch from the network's raw output [N, outputs].
  virtual Variable loss(const Variable& output, const data::Batch& batch) const = 0;
  /// Sum over the batch of the quantity that metric() names; divided by the number of images it is
  /// the reported value.
  virtual double score(const Tensor& output, const data::Batch& batch) const = 0;
  /// "accuracy", "mae"; its unit (Result::unit) and direction.
  virtual const char* metric() const = 0;
  virtual std::string unit() const = 0;
  virtual Better better() const = 0;
  /// The same with `amount`, in [0, 1), of every target spread evenly over the classes; throws
  /// where there are none.
  virtual std::unique_ptr<Criterion> smoothed(double amount) const;
};

/// Cross entropy of integer classes: (1 - s) CE(output, labels) + s mean_c(-log softmax(output)_c)
/// with label smoothing s (Szegedy et al. 2016). The metric is the top-1 accuracy in [0, 1].
class ClassificationCriterion : public Criterion {
 public:
  explicit ClassificationCriterion(double label_smoothing = 0) : smoothing_(label_smoothing) {}
  void check(const data::Dataset& dataset, int64_t outputs) const override;
  Variable loss(const Variable& output, const data::Batch& batch) const override;
  double score(const Tensor& output, const data::Batch& batch) const override;
  const char* metric() const override { return "accuracy"; }
  std::string unit() const override { return "share"; }
  Better better() const override { return Better::higher; }
  std::unique_ptr<Criterion> smoothed(double amount) const override {
    return std::make_unique<ClassificationCriterion>(amount);
  }

 private:
  const double smoothing_;
};

/// Mean squared error of a scalar response [N, 1] in [0, 1]; the metric is the mean absolute error
/// in the unit of the data set's scale, or, `truncated`, that of predictions and responses cut to
/// whole numbers (ResponseScale::truncated). Here responses become what networks see and back; the
/// nets of generation see sets that are normalised as a whole (kd/task.h).
class RegressionCriterion : public Criterion {
 public:
  explicit RegressionCriterion(data::ResponseScale scale = {}, bool truncated = false)
      : scale_(std::move(scale)), truncated_(truncated) {}
  void check(const data::Dataset& dataset, int64_t outputs) const override;
  Variable loss(const Variable& output, const data::Batch& batch) const override;
  double score(const Tensor& output, const data::Batch& batch) const override;
  const char* metric() const override { return truncated_ ? "mae_truncated" : "mae"; }
  std::string unit() const override { return scale_.unit; }
  Better better() const override { return Better::lower; }

 private:
  const data::ResponseScale scale_;
  const bool truncated_;
};

/// Index of the largest entry of each row of [N, C]; the first one on ties.
/// Throws for other ranks.
std::vector<int64_t> argmax_rows(const Tensor& output);

}  // namespace limbeck::train
