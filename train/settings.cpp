#include "train/settings.h"

#include <algorithm>
#include <cmath>

#include "nn/schedule.h"

namespace limbeck::train {
namespace {

void check_optimizer(const Settings& s, const std::string& section) {
  LIMBECK_CHECK(s.optimizer == "sgd" || s.optimizer == "adam" || s.optimizer == "adamw", section,
                ".optimizer: expected sgd, adam or adamw, found '", s.optimizer, "'");
  for (const auto& [key, beta] : {std::pair("beta1", s.beta1), {"beta2", s.beta2}})
    LIMBECK_CHECK(beta >= 0 && beta < 1, section, ".", key,
                  ": expected 0 or more and below 1, found ", beta);
  LIMBECK_CHECK(std::isfinite(s.adam_eps) && s.adam_eps > 0, section,
                ".adam_eps: expected a positive number, found ", s.adam_eps);
}

void check_schedule(const Settings& s, const std::string& section) {
  LIMBECK_CHECK(s.schedule == "milestones" || s.schedule == "cosine", section,
                ".schedule: expected milestones or cosine, found '", s.schedule, "'");
  LIMBECK_CHECK(s.warmup >= 0 && s.warmup < static_cast<double>(s.epochs), section,
                ".warmup: expected 0 or more and below ", section, ".epochs (", s.epochs,
                "), found ", s.warmup);
  LIMBECK_CHECK(s.final_lr >= 0 && s.final_lr <= s.lr, section, ".final_lr: expected 0 to ",
                section, ".lr (", s.lr, "), found ", s.final_lr);
}

}  // namespace

void check(const Settings& s, const std::string& section, bool classes) {
  LIMBECK_CHECK(s.epochs > 0, section, ".epochs: expected at least 1, found ", s.epochs);
  LIMBECK_CHECK(s.batch > 0, section, ".batch: expected at least 1, found ", s.batch);
  LIMBECK_CHECK(std::isfinite(s.lr) && s.lr > 0, section, ".lr: expected a positive number, found ",
                s.lr);
  LIMBECK_CHECK(std::isfinite(s.lr_factor) && s.lr_factor > 0, section,
                ".lr_factor: expected a positive number, found ", s.lr_factor);
  LIMBECK_CHECK(s.momentum >= 0 && s.momentum < 1, section,
                ".momentum: expected 0 or more and below 1, found ", s.momentum);
  LIMBECK_CHECK(s.optimizer != "sgd" || !s.nesterov || s.momentum > 0, section, ".nesterov needs ",
                section, ".momentum above 0");
  LIMBECK_CHECK(std::isfinite(s.weight_decay) && s.weight_decay >= 0, section,
                ".weight_decay: expected 0 or more, found ", s.weight_decay);
  LIMBECK_CHECK(s.crop_padding >= 0, section, ".crop_padding: expected 0 or more, found ",
                s.crop_padding);
  LIMBECK_CHECK(std::is_sorted(s.milestones.begin(), s.milestones.end()), section,
                ".milestones: expected rising epochs");
  check_optimizer(s, section);
  check_schedule(s, section);
  LIMBECK_CHECK(s.label_smoothing >= 0 && s.label_smoothing < 1, section,
                ".label_smoothing: expected 0 or more and below 1, found ", s.label_smoothing);
  LIMBECK_CHECK(classes || s.label_smoothing == 0, section,
                ".label_smoothing: there are no classes to smooth, expected 0, found ",
                s.label_smoothing);
}

nn::OptimizerConfig optimizer_of(const Settings& s) {
  if (s.optimizer == "sgd")
    return nn::SGD::Config{
        .lr = s.lr, .momentum = s.momentum, .weight_decay = s.weight_decay, .nesterov = s.nesterov};
  return nn::Adam::Config{.lr = s.lr,
                          .beta1 = s.beta1,
                          .beta2 = s.beta2,
                          .eps = s.adam_eps,
                          .weight_decay = s.weight_decay,
                          .decoupled = s.optimizer == "adamw"};
}

double learning_rate(const Settings& s, int64_t step, int64_t steps_per_epoch) {
  const int64_t rising = std::llround(s.warmup * static_cast<double>(steps_per_epoch)),
                falling = s.epochs * steps_per_epoch - rising;
  const double rate = s.schedule == "cosine"
                          ? nn::CosineSchedule{s.lr, s.final_lr, static_cast<double>(falling)}(
                                static_cast<double>(step - rising))
                          : nn::StepSchedule{s.lr, s.milestones, s.lr_factor, s.late_drop}(
                                static_cast<double>(step / steps_per_epoch));
  return rate * nn::warm_up(step, rising);
}

}  // namespace limbeck::train
