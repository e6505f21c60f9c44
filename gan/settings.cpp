#include "gan/settings.h"

#include <algorithm>
#include <cmath>

#include "gan/diffaugment.h"
#include "gan/losses.h"
#include "gan/network.h"
#include "tensor/ranges.h"

namespace limbeck::gan {
namespace {

void check_regression(const ResponseHeadSettings& s) {
  for (const auto& [key, value] : {std::pair<const char*, double>{"d_weight", s.d_weight},
                                   {"g_weight", s.g_weight},
                                   {"slack", s.slack}})
    LIMBECK_CHECK(value >= 0 && std::isfinite(value), "gan.regression.", key,
                  ": expected a number of 0 or more, found ", value);
  LIMBECK_CHECK(s.g_weight == 0 || s.d_weight > 0,
                "gan.regression.g_weight: the generator cannot learn from a head that does not; "
                "expected gan.regression.d_weight above 0, found ",
                s.d_weight);
}

/// The architecture, and what one for classes does not take.
void check_arch(const GanSettings& s) {
  const std::vector<std::string> archs = gan_names();
  LIMBECK_CHECK(std::count(archs.begin(), archs.end(), s.arch), "gan.arch: no architecture '",
                s.arch, "'", did_you_mean(s.arch, archs, "; expected one of " + joined(archs)));
  const bool by_classes = condition_kind(s.arch) == ConditionKind::classes;
  LIMBECK_CHECK(!by_classes || s.regression.d_weight == 0, "gan.regression.d_weight: ", s.arch,
                " is conditioned on classes, which nobody regresses; expected 0, found ",
                s.regression.d_weight);
  LIMBECK_CHECK(!by_classes || !s.negatives.used(), "gan.negatives: ", s.arch,
                " is conditioned on classes, negatives are made of responses; expected mismatched "
                "and poor to be 0, found ",
                s.negatives.mismatched, " and ", s.negatives.poor);
}

void check_init(const std::string& init) {
  LIMBECK_CHECK(init == "N02" || init == "ortho", "gan.init: expected N02 or ortho, found '", init,
                "'");
}

/// Of a network's widths: what no memory holds.
constexpr int64_t widest = 1 << 16;

void check_steps(const GanSettings& s) {
  expect_count("gan.steps", 0, s.steps);
  expect_count("gan.batch", 2, s.batch);
  expect_count("gan.d_steps", 1, s.d_steps);
  expect_count("gan.health_every", 1, s.health_every);
  expect_count("gan.sample_every", 0, s.sample_every);
  expect_count("gan.loader_threads", 0, s.loader_threads, 1024);
  for (const auto& [key, value] : {std::pair<const char*, int64_t>{"gan.g_ch", s.g_ch},
                                   {"gan.d_ch", s.d_ch},
                                   {"gan.dim_z", s.dim_z},
                                   {"gan.depth", s.depth}})
    expect_count(key, 1, value, widest);
  expect_count("gan.shared_dim", 0, s.shared_dim, widest);
}

void check_optimisation(const GanSettings& s) {
  for (const auto& [key, value] : {std::pair<const char*, double>{"gan.g_lr", s.g_lr},
                                   {"gan.d_lr", s.d_lr},
                                   {"gan.adam_eps", s.adam_eps},
                                   {"gan.sn_eps", s.sn_eps},
                                   {"gan.bn_eps", s.bn_eps},
                                   {"gan.loss_bound", s.loss_bound}})
    expect_positive(key, value);
  expect_share("gan.beta1", s.beta1);
  expect_share("gan.beta2", s.beta2);
  LIMBECK_CHECK(s.ema_decay >= 0 && s.ema_decay <= 1, "gan.ema_decay: expected 0 to 1, found ",
                s.ema_decay);
  expect_count("gan.ema_start", 0, s.ema_start);
}

}  // namespace

bool GanSettings::of_responses() const {
  const std::vector<std::string> names = gan_names();
  return std::find(names.begin(), names.end(), arch) != names.end() &&
         condition_kind(arch) != ConditionKind::classes;
}

void check(const GanSettings& s) {
  Problems problems;
  problems.collect([&] { check_arch(s); });
  problems.collect([&] { parse_adversarial_loss(s.loss, "gan.loss"); });
  problems.collect([&] { check_init(s.init); });
  problems.collect([&] { check_policy(s.augment, "gan.augment"); });
  problems.collect([&] { parse_resolutions(s.g_attention, "gan.g_attention"); });
  problems.collect([&] { parse_resolutions(s.d_attention, "gan.d_attention"); });
  problems.collect([&] { check_steps(s); });
  problems.collect([&] { check_optimisation(s); });
  problems.collect([&] { check(s.vicinity); });
  problems.collect([&] { check_regression(s.regression); });
  problems.collect([&] { check(s.negatives, s.steps); });
  problems.throw_if_any();
}

}  // namespace limbeck::gan
