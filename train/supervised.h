// The supervised training loop: one network, one data set, an exchangeable criterion and,
// optionally, an extra loss. Resumes bit-equal from the state it hands
// to its monitor.
#pragma once
#include <limits>
#include <string>
#include <vector>

#include "nn/monitor.h"
#include "train/criterion.h"
#include "train/extra_loss.h"
#include "train/settings.h"

namespace limbeck::train {

/// What to train on and whom to tell. References outlive the call. Batches go to the network's
/// device.
struct SupervisedTask {
  nn::Network& network;
  const data::Dataset& train;
  const data::Dataset& test;              ///< may be empty: then there is no test metric
  data::Standardisation standardisation;  ///< of training and test images
  const Criterion& criterion;
  Stream stream;  ///< forked by purpose and step inside
  nn::Monitor& monitor;
  ExtraLoss* extra = nullptr;
  int64_t steps_per_epoch =
      0;  ///< of schedule and evaluation; 0: one pass over `train`. For controls with equal steps
};

/// Values of the last epoch, the metrics as the criterion says.
struct SupervisedResult {
  int64_t steps = 0;
  double loss = 0;
  double train_metric = 0;
  double test_metric = std::numeric_limits<double>::quiet_NaN();  ///< NaN without test images
};

/// Trains from the network's present weights (the caller initialises or loads), or from the
/// monitor's saved state. One metrics line per epoch: loss, train_<metric>, test_<metric>, lr.
/// Throws when the loss is not finite, naming step and learning rate.
SupervisedResult fit(const SupervisedTask& task, const Settings& settings);

/// Mean of the criterion's metric over a data set, in eval mode without gradient or augmentation;
/// restores the mode.
/// Throws for an empty set.
double evaluate(nn::Network& network, const data::Dataset& dataset,
                const data::Standardisation& standardisation, const Criterion& criterion,
                int64_t batch = 200);

}  // namespace limbeck::train
