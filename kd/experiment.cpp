#include "kd/experiment.h"

#include <algorithm>
#include <cmath>

#include "data/identity.h"

namespace limbeck::kd {

const data::Split& Experiment::data() {
  if (!data_) {
    data_ = std::make_unique<data::Split>(data::load(settings.data));
    LIMBECK_CHECK(data_->train.size() > 0 || settings.data.kind == "none",
                  "data: no training images");
    LIMBECK_CHECK(data_->train.height() == data_->train.width(),
                  "data: expected square images, found ", data_->train.height(), " x ",
                  data_->train.width());
    if (expected_.empty()) return *data_;
    const std::string found = data::identity_of(*data_);
    LIMBECK_CHECK(found == expected_, "data.path: ", settings.data.path,
                  ": has changed since this run looked at it (expected ", expected_, ", found ",
                  found, "); start again");
  }
  return *data_;
}

const data::Standardisation& Experiment::standardisation() {
  if (!standardisation_)
    standardisation_ = std::make_unique<data::Standardisation>(task().standardisation(train()));
  return *standardisation_;
}

const Task& Experiment::task() {
  if (!task_) task_ = task_of(train(), settings);
  return *task_;
}

int64_t Experiment::images_of_transfer(double rho, int64_t count) {
  const int64_t wanted = count > 0 ? count : settings.transfer.fakes;
  FakeSettings fakes = settings.fakes;
  if (rho > 0) fakes.rho = rho;
  if (settings.plan.fake_data.empty())
    return train().size() + task().fakes_used(train(), fakes, wanted);
  if (!saved_fakes_) saved_fakes_ = task().load_fakes(settings.plan.fake_data, train()).size();
  return train().size() + (wanted > 0 ? std::min(wanted, *saved_fakes_) : *saved_fakes_);
}

void add(Results& results, const Results& more) {
  for (const auto& [key, result] : more) results[key] = result;
}

Results results_of(const train::SupervisedResult& r, const nn::Network& network,
                   const train::Criterion& criterion) {
  Results results;
  const std::string metric = criterion.metric();
  results["test_" + metric] = {r.test_metric, criterion.unit(), criterion.better(), "test"};
  results["train_" + metric] = {r.train_metric, criterion.unit(), criterion.better(), "train"};
  results["loss"] = {r.loss, "", Better::lower, "train"};
  results["steps"] = {static_cast<double>(r.steps), "steps", Better::neither, "cost"};
  results["parameters"] = {static_cast<double>(network.parameter_count()), "parameters",
                           Better::neither, "cost"};
  return results;
}

}  // namespace limbeck::kd
