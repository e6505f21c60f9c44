// BLKD: the baseline distillation on softened logits (Hinton, Vinyals, Dean 2015,
// arXiv:1503.02531).
//   p_s, p_t = softmax of student's and teacher's logits / T
//   official (RepDistiller, the published numbers):  gamma CE(s, y) + alpha T^2 KL(p_t || p_s),
//                                                    gamma = 0.1, alpha = 0.9, T = 4
//   paper (cGAN-KD, Eq. 4):                          (1 - l) CE(s, y) + l H(p_t, p_s), l = alpha;
//                                                    the soft cross entropy H has no factor T^2
// Gradient with respect to the student's logits: alpha T (softmax(s/T) - softmax(t/T)) / N, or
// alpha / (T N) of it in the paper's form.
#include <cstdlib>

#include "kd/parity_kd.h"
#include "kd/terms.h"

namespace limbeck::kd::blkd {
namespace {

struct BlkdSettings : LossWeights {
  std::string form = "official";
  BlkdSettings() { hard_weight = 0.1, soft_weight = 0.9; }
  void fields(FieldVisitor& v) {
    v("form", form,
      "official: as the published numbers were made | paper: as the paper's equation says");
    LossWeights::fields(v);
  }
};

class Blkd : public Method {
 public:
  using Settings = BlkdSettings;
  explicit Blkd(const Settings& s) : settings_(s), paper_(s.form == "paper") {
    LIMBECK_CHECK(paper_ || s.form == "official",
                  "methods.blkd.form: expected official or paper, found '", s.form, "'");
    LIMBECK_CHECK(!paper_ || s.soft_weight <= 1,
                  "methods.blkd.soft_weight: expected at most 1 in the paper's form, found ",
                  s.soft_weight);
  }
  LossWeights weights() const override {
    LossWeights w = settings_;
    if (paper_) w.hard_weight = 1 - w.soft_weight, w.soft_weight = 0;
    return w;
  }
  void check(const Pair& pair) override { check_class_logits("blkd", pair); }
  Variable loss(const DistillationStep& step) override {
    if (!paper_) return {};
    const Variable target = softmax(softened(Variable(step.teacher.output.data()), settings_));
    return soft_cross_entropy(softened(step.student.output, settings_), target) *
           settings_.soft_weight;
  }

 private:
  const Settings settings_;
  const bool paper_;
};

const RegisterMethod<Blkd> registered("blkd", "BLKD", Family::logits,
                                      "softened logits (Hinton et al. 2015)");
// The soft targets themselves, which every method has; the temperature is in the name: KD_T4.
const RegisterParityCase parity("KD", [](const ParityCase& c) {
  const std::string text = c.name.rfind("KD_T", 0) == 0 ? c.name.substr(4) : "";
  char* end = nullptr;
  const double temperature = std::strtod(text.c_str(), &end);
  LIMBECK_CHECK(
      text.find_first_not_of("0123456789.") == std::string::npos && temperature > 0 && *end == '\0',
      "expected a name of KD_T and the temperature");
  return ParityOutcome{distillation_loss(c.student[0], c.teacher[0].data(), temperature)};
});

}  // namespace
}  // namespace limbeck::kd::blkd
