#include "train/criterion.h"

#include <algorithm>
#include <cmath>

namespace limbeck::train {

std::vector<int64_t> argmax_rows(const Tensor& scores) {
  LIMBECK_CHECK(scores.rank() == 2 && scores.size(1) > 0, "argmax_rows: expected [N, C], found ",
                describe(scores));
  const Tensor output = scores.to(cpu);
  const int64_t rows = output.size(0), columns = output.size(1);
  std::vector<int64_t> best(static_cast<size_t>(rows));
  dispatch_floating(output.dtype(), "argmax_rows", [&](auto t) {
    const auto* x = output.data<decltype(t)>();
    for (int64_t i = 0; i < rows; ++i)
      best[static_cast<size_t>(i)] =
          std::max_element(x + i * columns, x + (i + 1) * columns) - (x + i * columns);
  });
  return best;
}

std::unique_ptr<Criterion> Criterion::smoothed(double amount) const {
  fail("label_smoothing: ", metric(), " knows no classes to smooth, expected 0, found ", amount);
}

void ClassificationCriterion::check(const data::Dataset& dataset, int64_t outputs) const {
  LIMBECK_CHECK(dataset.labels.defined() && dataset.classes > 0,
                "classification needs a data set with classes");
  LIMBECK_CHECK(outputs == dataset.classes, "the network has ", outputs, " outputs, the data set ",
                dataset.classes, " classes");
}

Variable ClassificationCriterion::loss(const Variable& output, const data::Batch& batch) const {
  return cross_entropy(output, batch.labels, Reduction::mean, {.label_smoothing = smoothing_});
}

double ClassificationCriterion::score(const Tensor& output, const data::Batch& batch) const {
  const std::vector<int64_t> predicted = argmax_rows(output);
  const std::vector<int64_t> labels = batch.labels.to_vector<int64_t>();
  double correct = 0;
  for (size_t i = 0; i < predicted.size(); ++i) correct += predicted[i] == labels[i];
  return correct;
}

void RegressionCriterion::check(const data::Dataset& dataset, int64_t outputs) const {
  LIMBECK_CHECK(dataset.targets.defined(), "regression needs a data set with responses");
  dataset.scale.expect_line("regression");
  LIMBECK_CHECK(outputs == 1, "regression needs a network with one output, found ", outputs);
  LIMBECK_CHECK(dataset.scale == scale_, "regression: the data set's responses lie in [",
                dataset.scale.low, ", ", dataset.scale.high, "] ", dataset.scale.unit,
                ", those of the training data in [", scale_.low, ", ", scale_.high, "] ",
                scale_.unit);
}

Variable RegressionCriterion::loss(const Variable& output, const data::Batch& batch) const {
  const Variable target(batch.targets.reshape({-1, 1}));
  const double range = scale_.high - scale_.low;
  return mse_loss(output, affine(target, 1 / range, -scale_.low / range));
}

double RegressionCriterion::score(const Tensor& output, const data::Batch& batch) const {
  LIMBECK_CHECK(output.numel() == batch.targets.numel(), "regression: output ", describe(output),
                " for targets ", describe(batch.targets));
  const Tensor found = output.to(cpu), expected = batch.targets.to(cpu);
  double error = 0;
  const auto counted = [this](double y) {
    return truncated_ ? data::ResponseScale::truncated(y) : y;
  };
  for (int64_t i = 0; i < found.numel(); ++i)
    error += std::abs(counted(scale_.from_unit(found.at(i))) - counted(expected.at(i)));
  return error;
}

}  // namespace limbeck::train
