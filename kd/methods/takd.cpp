// TAKD: the teacher teaches an assistant of a size in between, the assistant teaches the student
// (Mirzadeh, Farajtabar, Li, Levine, Matsukawa, Ghasemzadeh, "Improved knowledge distillation via
// teacher assistant", AAAI 2020, Eq. 3; official code: imirzadeh/Teacher-Assistant-Knowledge-
// Distillation and its copy in cGAN-KD).
//   both times: (1 - l) CE + l T^2 KL(softmax(t/T) || softmax(s/T)), l = 0.5
//   T = 10: the code's default, which no script changes; the paper says 5
// Stages before: every assistant, from scratch on the real images with the student's recipe (their
// learning rate is 0.05, as published, whatever the student's); both drop it at the milestone, not
// an epoch behind it. With fakes the assistants stay those of the real images (the original's
// script trains them again; the paper's tables have no such row). Several assistants make a chain,
// each taught by the one before. Without a list the pair's assistant is the one of the published
// scripts; for resnet110 > resnet20, of which none is published, resnet56.
#include <algorithm>

#include "kd/assistant.h"

namespace limbeck::kd::takd {
namespace {

struct TakdSettings : EarlyDropWeights {
  std::vector<std::string> assistants;
  double assistant_lr = 0.05;
  TakdSettings() { hard_weight = 0.5, soft_weight = 0.5, temperature = 10; }
  void fields(FieldVisitor& v) {
    EarlyDropWeights::fields(v);
    v("assistants", assistants,
      "networks between teacher and student, the largest first; empty: as published for the pair");
    v("assistant_lr", assistant_lr, "learning rate of the assistants; 0: the student's");
  }
};

struct Published {
  const char *teacher, *student, *assistant;
};
constexpr Published published[] = {
    {"wrn_40_2", "wrn_40_1", "wrn_16_2"},
    {"wrn_40_2", "MobileNetV2", "vgg8"},
    {"wrn_40_2", "vgg8", "resnet8x4"},
    {"wrn_40_2", "ShuffleV1", "vgg19"},
    {"wrn_40_2", "ShuffleV2", "vgg13"},
    {"wrn_40_2", "resnet20", "resnet8x4"},
    {"wrn_40_2", "resnet8x4", "vgg13"},
    {"resnet32x4", "resnet20", "resnet110"},
    {"resnet32x4", "resnet8x4", "resnet110"},
    {"resnet32x4", "MobileNetV2", "vgg11"},
    {"resnet32x4", "vgg8", "vgg13"},
    {"resnet32x4", "ShuffleV1", "wrn_40_2"},
    {"resnet32x4", "ShuffleV2", "wrn_40_2"},
    {"ResNet50", "MobileNetV2", "resnet56"},
    {"ResNet50", "vgg8", "vgg13"},
    {"ResNet50", "ShuffleV1", "wrn_40_2"},
    {"ResNet50", "ShuffleV2", "wrn_40_2"},
    {"ResNet50", "resnet20", "resnet110"},
    {"ResNet50", "resnet8x4", "resnet110"},
    {"vgg13", "vgg8", "vgg11"},
    {"vgg19", "vgg8", "vgg11"},
    {"densenet121", "MobileNetV2", "resnet56"},
    {"densenet121", "resnet20", "vgg13"},
    {"densenet121", "vgg8", "vgg13"},
    {"densenet121", "resnet8x4", "wrn_40_2"},
    {"densenet121", "ShuffleV1", "wrn_40_2"},
    {"densenet121", "ShuffleV2", "wrn_40_2"},
    {"resnet110", "resnet20", "resnet56"},
};

std::string published_assistant(const std::string& teacher, const std::string& student) {
  for (const Published& p : published)
    if (p.teacher == teacher && p.student == student) return p.assistant;
  fail("takd: no assistant is published for ", teacher, " > ", student,
       "; name it in methods.takd.assistants");
}

/// What teaches an assistant: the soft targets alone.
class SoftTargets : public Method {
 public:
  explicit SoftTargets(const LossWeights& weights) : weights_(weights) {}
  LossWeights weights() const override { return weights_; }

 private:
  const LossWeights weights_;
};

std::string preparation_name(size_t i) { return i == 0 ? "assistant" : cat("assistant", i + 1); }

/// The pair's teacher, or the assistant before.
std::unique_ptr<nn::Network> teacher_of_assistant(const PreparationContext& c, size_t i) {
  if (i == 0) return copy_of_teacher(c);
  return load_assistant(c.directory_of(preparation_name(i - 1)), c.teacher.device());
}

void train_link(PreparationContext& c, const TakdSettings& s, size_t i) {
  Distillation distillation("takd", std::make_unique<SoftTargets>(s), teacher_of_assistant(c, i),
                            nn::Task::classification);
  train::Settings training = c.training;
  if (s.assistant_lr > 0) training.lr = s.assistant_lr;
  training.final_lr = std::min(training.final_lr, training.lr);
  training.late_drop = s.late_drop;
  train_assistant(
      c,
      s.assistants.empty() ? published_assistant(c.teacher_name, c.student_name) : s.assistants[i],
      distillation, training);
}

class Takd : public Method {
 public:
  using Settings = TakdSettings;
  explicit Takd(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(s.soft_weight > 0, "methods.takd.soft_weight: expected a positive number, found ",
                  s.soft_weight);
    LIMBECK_CHECK(s.assistant_lr >= 0, "methods.takd.assistant_lr: expected 0 or more, found ",
                  s.assistant_lr);
    for (const std::string& name : s.assistants) check_assistant(name, "methods.takd.assistants");
  }
  LossWeights weights() const override { return settings_; }
  void adjust(train::Settings& training, bool) const override {
    training.late_drop = settings_.late_drop;
  }

  std::vector<Preparation> preparations() const override {
    std::vector<Preparation> all;
    for (size_t i = 0; i < assistants(); ++i)
      all.push_back({preparation_name(i),
                     settings_.assistants.empty()
                         ? std::string("TAKD: the assistant")
                         : "TAKD: the assistant " + settings_.assistants[i],
                     [s = settings_, i](PreparationContext& c) { train_link(c, s, i); }});
    return all;
  }
  std::unique_ptr<nn::Network> other_teacher(
      const std::function<std::string(const std::string&)>& directory_of, Device device) override {
    if (!directory_of) return nullptr;  // the pair is only tried
    const std::string last = preparation_name(assistants() - 1);
    return load_assistant(directory_of(last), device);
  }

  void check_names(const std::string& teacher, const std::string& student) override {
    if (settings_.assistants.empty()) published_assistant(teacher, student);
  }
  void check(const Pair& pair) override {
    LIMBECK_CHECK(pair.student.output.size(1) > 1,
                  "takd needs class logits; the networks have one output");
  }

 private:
  size_t assistants() const { return std::max<size_t>(1, settings_.assistants.size()); }
  const Settings settings_;
};

const RegisterMethod<Takd> registered("takd", "TAKD", Family::logits,
                                      "an assistant in between (Mirzadeh et al. 2020)");

}  // namespace
}  // namespace limbeck::kd::takd
