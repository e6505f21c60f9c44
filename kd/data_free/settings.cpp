#include "kd/data_free/settings.h"

#include <algorithm>

#include "gan/data_free_generator.h"
#include "tensor/ranges.h"

namespace limbeck::kd::data_free {
namespace {

void expect_one_of(const std::string& key, const std::string& found,
                   const std::vector<std::string>& words) {
  LIMBECK_CHECK(std::count(words.begin(), words.end(), found), key, ": expected one of ",
                joined(words), ", found '", found, "'", did_you_mean(found, words));
}

void check_generator(const GeneratorSettings& s, const std::string& section) {
  expect_one_of(section + ".arch", s.arch, gan::data_free_generator_names());
  constexpr int64_t widest = 1 << 14;
  expect_count(section + ".ch", 1, s.ch, widest);
  expect_count(section + ".dim_z", 1, s.dim_z, widest);
  expect_count(section + ".embedding", 1, s.embedding, widest);
  expect_positive(section + ".lr", s.lr);
  expect_share(section + ".beta1", s.beta1);
  expect_share(section + ".beta2", s.beta2);
  expect_not_negative(section + ".clip", s.clip);
  expect_one_of(section + ".schedule", s.schedule, {"constant", "student"});
}

void check_generator_loss(const GeneratorLossSettings& s, const std::string& section) {
  LIMBECK_CHECK(s.labelled >= 0 && s.labelled <= 1, section, ".labelled: expected 0 to 1, found ",
                s.labelled);
  expect_not_negative(section + ".cls", s.cls);
  expect_not_negative(section + ".one_hot", s.one_hot);
  LIMBECK_CHECK(s.balance > -1e9 && s.balance < 1e9, section, ".balance: expected a number, found ",
                s.balance);
  expect_not_negative(section + ".activation", s.activation);
  expect_not_negative(section + ".statistics", s.statistics);
  expect_one_of(section + ".statistics_form", s.statistics_form, {"norms", "squares"});
  expect_one_of(section + ".adversary", s.adversary,
                {"none", "l1", "kl", "kl_mean", "decision", "js"});
  expect_not_negative(section + ".adversarial", s.adversarial);
  expect_share(section + ".adversarial_warmup", s.adversarial_warmup);
  const bool unlabelled = s.labelled < 1 && (s.one_hot > 0 || s.balance != 0 || s.activation > 0);
  LIMBECK_CHECK((s.labelled > 0 && s.cls > 0) || unlabelled || s.statistics > 0 ||
                    (s.adversary != "none" && s.adversarial > 0),
                section, ": no term has a weight; the generator would learn nothing");
}

void check_distillation(const StudentLossSettings& s, const std::string& section) {
  expect_one_of(section + ".form", s.form, {"kl", "kl_mean", "l1"});
  expect_positive(section + ".temperature", s.temperature);
  expect_not_negative(section + ".weight", s.weight);
  expect_not_negative(section + ".cross_entropy", s.cross_entropy);
  expect_not_negative(section + ".attention", s.attention);
  LIMBECK_CHECK(s.weight + s.cross_entropy + s.attention > 0, section,
                ": no term has a weight; the student would learn nothing");
}

}  // namespace

void check(const Settings& s, const std::string& section) {
  train::check(s, section);
  expect_count(section + ".rounds", 1, s.rounds);
  expect_count(section + ".generator_steps", 1, s.generator_steps);
  expect_count(section + ".student_steps", 1, s.student_steps);
  expect_one_of(section + ".order", s.order, {"generator", "student", "joint"});
  LIMBECK_CHECK(
      s.label_smoothing == 0 && s.crop_padding == 0 && !s.flip, section,
      ": label_smoothing, crop_padding and flip have no meaning for made images; expected "
      "0, 0 and false, found ",
      s.label_smoothing, ", ", s.crop_padding, " and ", s.flip ? "true" : "false");
  LIMBECK_CHECK(s.order != "joint" || s.loss.adversary == "none", section,
                ".loss.adversary: expected none with order = joint, found '", s.loss.adversary,
                "'");
  expect_not_negative(section + ".clip", s.clip);
  check_generator(s.generator, section + ".generator");
  check_generator_loss(s.loss, section + ".loss");
  check_distillation(s.distillation, section + ".distillation");
}

}  // namespace limbeck::kd::data_free
