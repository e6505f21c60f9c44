// Settings of a supervised training: how long, by which optimiser, with which learning rates.
#pragma once
#include <string>
#include <vector>

#include "nn/optim.h"
#include "tensor/fields.h"

namespace limbeck::train {

/// How long and how one network trains. Defaults: RepDistiller's recipe for CIFAR-100, which the
/// paper's experiments use.
struct Settings {
  int64_t epochs = 240;
  int64_t batch = 64;
  std::string optimizer = "sgd";
  double lr = 0.05;
  std::string schedule = "milestones";
  double warmup = 0;
  std::vector<double> milestones = {150, 180, 210};
  double lr_factor = 0.1;
  bool late_drop = true;
  double final_lr = 0;
  double momentum = 0.9;
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999, adam_eps = 1e-8;
  double weight_decay = 5e-4;
  double label_smoothing = 0;
  int64_t crop_padding = 4;
  bool flip = true;
  int64_t evaluate_every = 1;
  void fields(FieldVisitor& v) {
    v("epochs", epochs, "passes over the training data");
    v("batch", batch, "images per step");
    v("optimizer", optimizer, "sgd | adam | adamw");
    v("lr", lr, "first learning rate, after the warm-up");
    v("schedule", schedule,
      "milestones: the learning rate drops there | cosine: it falls to final_lr in half a cosine");
    v("warmup", warmup, "epochs in which the learning rate rises step by step; 0: none");
    const bool steps = schedule == "milestones";
    v("milestones", milestones, "epochs at which the learning rate drops", influence_if(steps));
    const Influence drops = influence_if(steps && !milestones.empty());
    v("lr_factor", lr_factor, "factor of a drop", drops);
    v("late_drop", late_drop,
      "drop one epoch after the milestone (e > d, as RepDistiller) instead of at it (e >= d)",
      drops);
    v("final_lr", final_lr, "what a cosine falls to", influence_if(schedule == "cosine"));
    const Influence sgd = influence_if(optimizer == "sgd"), adam = influence_if(optimizer != "sgd");
    v("momentum", momentum, "SGD momentum", sgd);
    v("nesterov", nesterov, "Nesterov momentum of SGD", sgd);
    v("beta1", beta1, "Adam beta1", adam);
    v("beta2", beta2, "Adam beta2", adam);
    v("adam_eps", adam_eps, "Adam epsilon", adam);
    v("weight_decay", weight_decay,
      "L2 in the gradient of every parameter; adamw: share of the learning rate by which every "
      "parameter shrinks");
    v("label_smoothing", label_smoothing,
      "classes: share of the target that is spread evenly over all of them");
    v("crop_padding", crop_padding, "random crop after this much zero padding, 0: none");
    v("flip", flip, "random horizontal flip");
    v("evaluate_every", evaluate_every,
      "epochs between evaluations on the test images (the last one is always evaluated)",
      Influence::none);
  }
};
/// Throws naming the key, with `section` in front ("student.batch: ..."), for values that no
/// training can follow. `classes`: whether there are labels to smooth.
void check(const Settings& settings, const std::string& section, bool classes = true);
/// The same for the epochs of a step schedule, which rise from 0; `key` is theirs.
void check_milestones(const std::vector<double>& milestones, const std::string& key);
/// What to say of a milestone at or behind the end of the training; empty when there is none.
std::string unreached_milestone(const std::vector<double>& milestones, int64_t epochs,
                                const std::string& section);

/// What these settings say of the optimiser.
nn::OptimizerConfig optimizer_of(const Settings& settings);
/// Of a step, from 0, in a training with so many steps an epoch.
double learning_rate(const Settings& settings, int64_t step, int64_t steps_per_epoch);

}  // namespace limbeck::train
