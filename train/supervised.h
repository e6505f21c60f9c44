// The supervised training loop: one network, one data set, SGD with a step schedule, an
// exchangeable criterion and, optionally, an extra loss. Resumes bit-equal from the state it hands
// to its monitor.
#pragma once
#include <limits>
#include <string>
#include <vector>

#include "nn/monitor.h"
#include "tensor/fields.h"
#include "train/criterion.h"
#include "train/extra_loss.h"

namespace limbeck::train {

/// How long and how one network trains. Defaults: RepDistiller's recipe for CIFAR-100, which the
/// paper's experiments use.
struct Settings {
  int64_t epochs = 240;
  int64_t batch = 64;
  double lr = 0.05;
  std::vector<double> milestones = {150, 180, 210};
  double lr_factor = 0.1;
  bool late_drop = true;
  double momentum = 0.9;
  bool nesterov = false;
  double weight_decay = 5e-4;
  int64_t crop_padding = 4;
  bool flip = true;
  int64_t evaluate_every = 1;
  void fields(FieldVisitor& v) {
    v("epochs", epochs, "passes over the training data");
    v("batch", batch, "images per step");
    v("lr", lr, "first learning rate");
    v("milestones", milestones, "epochs at which the learning rate drops");
    const Influence drops = influence_if(!milestones.empty());
    v("lr_factor", lr_factor, "factor of a drop", drops);
    v("late_drop", late_drop,
      "drop one epoch after the milestone (e > d, as RepDistiller) instead of at it (e >= d)",
      drops);
    v("momentum", momentum, "SGD momentum");
    v("nesterov", nesterov, "Nesterov momentum");
    v("weight_decay", weight_decay, "L2 in the gradient of every parameter");
    v("crop_padding", crop_padding, "random crop after this much zero padding, 0: none");
    v("flip", flip, "random horizontal flip");
    v("evaluate_every", evaluate_every,
      "epochs between evaluations on the test images (the last one is always evaluated)",
      Influence::none);
  }
};
/// Throws naming the key, with `section` in front ("student.batch: ..."), for values that no
/// training can follow.
void check(const Settings& settings, const std::string& section);
/// The same for the epochs of a step schedule, which rise from 0; `key` is theirs.
void check_milestones(const std::vector<double>& milestones, const std::string& key);
/// What to say of a milestone at or behind the end of the training; empty when there is none.
std::string unreached_milestone(const std::vector<double>& milestones, int64_t epochs,
                                const std::string& section);

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
double evaluate(nn::Network& network, const data::Dataset& dataset,
                const data::Standardisation& standardisation, const Criterion& criterion,
                int64_t batch = 200);

}  // namespace limbeck::train
