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
  expect_one_of(section + ".targets", s.targets, {"labels", "dirichlet"});
  LIMBECK_CHECK(s.targets == "labels" || (s.labelled > 0 && s.cls > 0), section,
                ".targets: dirichlet is of requested classes; expected labels where labelled or "
                "cls is 0");
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
  expect_one_of(section + ".form", s.form, {"kl", "kl_mean", "l1", "l2"});
  expect_positive(section + ".temperature", s.temperature);
  expect_not_negative(section + ".weight", s.weight);
  expect_not_negative(section + ".cross_entropy", s.cross_entropy);
  expect_not_negative(section + ".attention", s.attention);
  LIMBECK_CHECK(s.weight + s.cross_entropy + s.attention > 0, section,
                ": no term has a weight; the student would learn nothing");
}

void check_synthesis(const Settings& all, const std::string& section) {
  const SynthesisSettings& s = all.synthesis;
  LIMBECK_CHECK(all.order == "generator", section, ".of: expected none with order = ", all.order,
                ", found '", s.of, "'");
  LIMBECK_CHECK(
      all.loss.labelled == 1, section,
      ".of: all images of a synthesis are of requested classes; expected loss.labelled 1, "
      "found ",
      all.loss.labelled);
  // In train mode its running statistics would move within a synthesis, of which a checkpoint may
  // hold nothing.
  LIMBECK_CHECK(
      all.loss.student_eval || all.loss.adversary == "none", section,
      ".of: the student judges a synthesis in eval mode; expected loss.student_eval true, "
      "found false");
  expect_positive(section + ".lr", s.lr);
  LIMBECK_CHECK(s.pool == 0 || s.pool >= all.batch, section,
                ".pool: expected 0 or at least batch (", all.batch, "), found ", s.pool);
  expect_count(section + ".pool", 0, s.pool);
  LIMBECK_CHECK(s.student_batch != 1, section, ".student_batch: expected 0 or at least 2, found 1");
  expect_count(section + ".student_batch", 0, s.student_batch);
  expect_count(section + ".warmup", 0, s.warmup, all.epochs - 1);
  expect_count(section + ".redraw", 0, s.redraw);
  expect_not_negative(section + ".tv_l1", s.tv_l1);
  expect_not_negative(section + ".tv_l2", s.tv_l2);
  expect_not_negative(section + ".l2", s.l2);
  expect_share(section + ".momentum", s.momentum);
  expect_count(section + ".crop_padding", 0, s.crop_padding, 4096);
  expect_count(section + ".roll", 0, s.roll, 4096);
  expect_not_negative(section + ".contrast.weight", s.contrast.weight);
  LIMBECK_CHECK(s.contrast.weight == 0 || s.of != "pixels", section,
                ".contrast.weight: expected 0 with of = pixels, found ", s.contrast.weight);
  expect_positive(section + ".contrast.temperature", s.contrast.temperature);
  expect_positive(section + ".contrast.lr", s.contrast.lr);
  expect_count(section + ".contrast.bank", 1, s.contrast.bank);
  expect_count(section + ".contrast.drawn", 1, s.contrast.drawn);
}

void check_pool(const Settings& s, const std::string& section) {
  expect_count(section + ".pool", s.batch, s.pool);
  LIMBECK_CHECK(!s.synthesis.used(), section,
                ".pool: syntheses have their own, synthesis.pool; expected 0, found ", s.pool);
  LIMBECK_CHECK(s.order != "joint", section,
                ".pool: with order = joint the student has the generator's images; expected 0, "
                "found ",
                s.pool);
  LIMBECK_CHECK(s.pooled() > 0 && s.pooled() < s.batch, section,
                ".pool_share: expected at least one image from the pool and one beside it in a "
                "batch of ",
                s.batch, ", found ", s.pool_share);
}

}  // namespace

void check(const Settings& s, const std::string& section) {
  train::check(s, section);
  expect_count(section + ".rounds", 1, s.rounds);
  expect_count(section + ".generator_steps", 1, s.generator_steps);
  expect_count(section + ".student_steps", 1, s.student_steps);
  expect_one_of(section + ".order", s.order, {"generator", "student", "joint"});
  LIMBECK_CHECK(s.label_smoothing == 0, section,
                ".label_smoothing: has no meaning here; expected 0, found ", s.label_smoothing);
  LIMBECK_CHECK(s.synthesis.used() || s.pool > 0 || (s.crop_padding == 0 && !s.flip), section,
                ": crop_padding and flip are for images that are kept; without synthesis.of and "
                "pool expected 0 and false, found ",
                s.crop_padding, " and ", s.flip ? "true" : "false");
  expect_one_of(section + ".synthesis.of", s.synthesis.of, {"none", "pixels", "meta", "fresh"});
  if (s.synthesis.used()) check_synthesis(s, section + ".synthesis");
  if (s.pool != 0) check_pool(s, section);
  LIMBECK_CHECK(s.order != "joint" || s.loss.adversary == "none", section,
                ".loss.adversary: expected none with order = joint, found '", s.loss.adversary,
                "'");
  expect_not_negative(section + ".clip", s.clip);
  check_generator(s.generator, section + ".generator");
  check_generator_loss(s.loss, section + ".loss");
  check_distillation(s.distillation, section + ".distillation");
  LIMBECK_CHECK(s.loss.labelled == 0 || s.loss.labelled * static_cast<double>(s.batch) >= 1,
                section, ".loss.labelled: expected 0 or at least one image of a batch of ", s.batch,
                ", found ", s.loss.labelled);
}

}  // namespace limbeck::kd::data_free
