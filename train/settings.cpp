#include "train/settings.h"

#include <cmath>

#include "nn/schedule.h"
#include "tensor/ranges.h"

namespace limbeck::train {
namespace {

void check_optimizer(const Settings& s, const std::string& section) {
  LIMBECK_CHECK(s.optimizer == "sgd" || s.optimizer == "adam" || s.optimizer == "adamw", section,
                ".optimizer: expected sgd, adam or adamw, found '", s.optimizer, "'");
  expect_share(section + ".momentum", s.momentum);
  LIMBECK_CHECK(s.optimizer != "sgd" || !s.nesterov || s.momentum > 0, section, ".nesterov needs ",
                section, ".momentum above 0");
  expect_share(section + ".beta1", s.beta1);
  expect_share(section + ".beta2", s.beta2);
  expect_positive(section + ".adam_eps", s.adam_eps);
  expect_not_negative(section + ".weight_decay", s.weight_decay);
}

void check_schedule(const Settings& s, const std::string& section) {
  LIMBECK_CHECK(s.schedule == "milestones" || s.schedule == "cosine", section,
                ".schedule: expected milestones or cosine, found '", s.schedule, "'");
  expect_positive(section + ".lr", s.lr);
  expect_positive(section + ".lr_factor", s.lr_factor);
  check_milestones(s.milestones, section + ".milestones");
  LIMBECK_CHECK(s.warmup >= 0 && s.warmup < static_cast<double>(s.epochs), section,
                ".warmup: expected 0 or more and below ", section, ".epochs (", s.epochs,
                "), found ", s.warmup);
  LIMBECK_CHECK(s.final_lr >= 0 && s.final_lr <= s.lr, section, ".final_lr: expected 0 to ",
                section, ".lr (", s.lr, "), found ", s.final_lr);
}

}  // namespace

void check(const Settings& s, const std::string& section, bool classes) {
  const auto key = [&](const char* name) { return cat(section, ".", name); };
  expect_count(key("epochs"), 1, s.epochs);
  LIMBECK_CHECK(s.batch > 1, key("batch"), ": expected at least 2 (batch norm needs them), found ",
                s.batch);
  expect_count(key("batch"), 2, s.batch);
  check_optimizer(s, section);
  check_schedule(s, section);
  expect_count(key("crop_padding"), 0, s.crop_padding, 4096);
  expect_count(key("evaluate_every"), 0, s.evaluate_every);
  expect_share(key("label_smoothing"), s.label_smoothing);
  LIMBECK_CHECK(classes || s.label_smoothing == 0, key("label_smoothing"),
                ": there are no classes to smooth, expected 0, found ", s.label_smoothing);
}

void check_milestones(const std::vector<double>& milestones, const std::string& key) {
  for (size_t i = 0; i < milestones.size(); ++i) {
    expect_not_negative(key, milestones[i]);
    LIMBECK_CHECK(i == 0 || milestones[i - 1] < milestones[i], key,
                  ": expected rising epochs, found ", milestones[i], " behind ", milestones[i - 1]);
  }
}

std::string unreached_milestone(const std::vector<double>& milestones, int64_t epochs,
                                const std::string& section) {
  for (const double m : milestones)
    if (m >= static_cast<double>(epochs))
      return cat(section, ".milestones: ", m, " is never reached in ", epochs,
                 epochs == 1 ? " epoch" : " epochs", " (", section,
                 ".epochs); the learning rate does not drop there");
  return {};
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
