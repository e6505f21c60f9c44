#include "gan/settings.h"

#include <cmath>

#include "gan/losses.h"
#include "gan/network.h"

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

}  // namespace

void check(const GanSettings& s) {
  parse_adversarial_loss(s.loss, "gan.loss");
  check_regression(s.regression);
  check(s.negatives, s.steps);
  const bool by_classes = condition_kind(s.arch) == ConditionKind::classes;
  LIMBECK_CHECK(!by_classes || s.regression.d_weight == 0, "gan.regression.d_weight: ", s.arch,
                " is conditioned on classes, which nobody regresses; expected 0, found ",
                s.regression.d_weight);
  LIMBECK_CHECK(!by_classes || !s.negatives.used(), "gan.negatives: ", s.arch,
                " is conditioned on classes, negatives are made of responses; expected mismatched "
                "and poor to be 0, found ",
                s.negatives.mismatched, " and ", s.negatives.poor);
}

}  // namespace limbeck::gan
