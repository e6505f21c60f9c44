// The supervised training loop: one network, one data set, SGD with a step schedule, an exchangeable criterion and, optionally, a
// distillation term. Resumes bit-equal from the state it hands to its monitor.
#pragma once
#include <string>
#include <vector>

#include "kd/criterion.h"
#include "kd/method.h"
#include "nn/monitor.h"
#include "nn/optim.h"

namespace limbeck::kd {

/// How long and how one network trains. Defaults: RepDistiller's recipe for CIFAR-100 (spec/classification.md 4.1).
struct TrainSettings {
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
    v("lr_factor", lr_factor, "factor of a drop");
    v("late_drop", late_drop, "drop one epoch after the milestone (e > d, as RepDistiller) instead of at it (e >= d)");
    v("momentum", momentum, "SGD momentum");
    v("nesterov", nesterov, "Nesterov momentum");
    v("weight_decay", weight_decay, "L2 in the gradient of every parameter");
    v("crop_padding", crop_padding, "random crop after this much zero padding, 0: none");
    v("flip", flip, "random horizontal flip");
    v("evaluate_every", evaluate_every, "epochs between evaluations on the test images (the last one is always evaluated)");
  }
};

/// What to train on and whom to tell. References outlive the call. Batches go to the network's device; the teacher must live there too.
struct TrainTask {
  nn::Network& network;
  const data::Dataset& train;
  const data::Dataset& test;                    ///< may be empty: then there is no test metric
  data::Standardisation standardisation;        ///< of training and test images
  const Criterion& criterion;
  Stream stream;                                ///< forked by purpose and step inside
  nn::Monitor& monitor;
  Method* method = nullptr;                     ///< with a teacher, or null
  nn::Network* teacher = nullptr;
  int64_t steps_per_epoch = 0;                  ///< of schedule and evaluation; 0: one pass over `train`. For controls with equal steps
};

/// Values of the last epoch. A metric is accuracy in [0, 1] or mean absolute error, as the criterion says.
struct TrainResult {
  int64_t steps = 0;
  double loss = 0;
  double train_metric = 0;
  double test_metric = 0;
};

/// Trains from the network's present weights (the caller initialises or loads), or from the monitor's saved state. One metrics line per
/// epoch: loss, train_<metric>, test_<metric>, lr. Throws when the loss is not finite, naming step and learning rate.
TrainResult train(const TrainTask& task, const TrainSettings& settings);

/// Mean of the criterion's metric over a data set, in eval mode without gradient or augmentation; restores the mode.
double evaluate(nn::Network& network, const data::Dataset& dataset, const data::Standardisation& standardisation,
                const Criterion& criterion, int64_t batch = 200);

}  // namespace limbeck::kd
