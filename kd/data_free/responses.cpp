#include "kd/data_free/responses.h"

#include "gan/data_free_generator.h"

namespace limbeck::kd::data_free {
namespace {

void leave_out_statistics(GeneratorLossSettings& s, const GeneratorLossSettings& defaults,
                          const std::string& section) {
  LIMBECK_CHECK(s.statistics == 0 || s.statistics == defaults.statistics, section,
                ".loss.statistics: the teacher has no BatchNorm2d; expected 0 or the default, ",
                defaults.statistics, ", found ", s.statistics);
  s.statistics = 0;
}

/// Values at which students of chairs learn (docs/results.md), where nobody has chosen others:
/// |T(x) - y| is some tenth of a cross entropy, and the output's ReLU dies at a student's lr of .1.
void set_defaults(Settings& s, const Settings& defaults) {
  constexpr double cls = 10, lr = 0.01;
  if (s.loss.cls == defaults.loss.cls) s.loss.cls = cls;
  if (s.lr == defaults.lr) s.lr = lr;
  if (s.distillation.form == defaults.distillation.form) s.distillation.form = "l2";
}

}  // namespace

Settings for_responses(Settings s, const Settings& defaults, bool without_norms,
                       const std::string& section) {
  LIMBECK_CHECK(!s.synthesis.used(), section,
                ".synthesis.of: syntheses are of classes, the task is regression; expected none, "
                "found '",
                s.synthesis.of, "'");
  LIMBECK_CHECK(s.loss.cls > 0 && s.loss.labelled > 0, section,
                ".loss.cls: of responses the generator is asked for each; expected cls and "
                "labelled above 0, found ",
                s.loss.cls, " and ", s.loss.labelled);
  LIMBECK_CHECK(s.loss.targets == "labels", section,
                ".loss.targets: of responses expected labels, found '", s.loss.targets, "'");
  LIMBECK_CHECK(s.loss.adversary == "none" || s.loss.adversary == "l1", section,
                ".loss.adversary: of responses expected none or l1, found '", s.loss.adversary,
                "'");
  gan::response_form(s.generator.arch, section + ".generator.arch");
  set_defaults(s, defaults);
  LIMBECK_CHECK(s.distillation.form == "l1" || s.distillation.form == "l2", section,
                ".distillation.form: of responses expected l1 or l2, found '", s.distillation.form,
                "'");
  s.loss.labelled = 1, s.loss.one_hot = s.loss.balance = s.loss.activation = 0;
  s.distillation.attention = 0;
  if (without_norms) leave_out_statistics(s.loss, defaults.loss, section);
  return s;
}

}  // namespace limbeck::kd::data_free
