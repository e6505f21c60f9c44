// BLKD: the baseline distillation on softened logits (Hinton, Vinyals, Dean 2015, arXiv:1503.02531).
//   official (RepDistiller, the published numbers):  gamma CE(s, y) + alpha T^2 KL(softmax(t/T) || softmax(s/T)),
//                                                    gamma = 0.1, alpha = 0.9, T = 4
//   paper (cGAN-KD, Eq. 4):                          (1 - l) CE(s, y) + l H(softmax(t/T), softmax(s/T)), l = alpha; the soft
//                                                    cross entropy H carries no factor T^2
// Gradient with respect to the student's logits: alpha T (softmax(s/T) - softmax(t/T)) / N, or alpha / (T N) of it in the paper's form.
#include "kd/method.h"

namespace limbeck::kd {
namespace {

class Blkd : public Method {
 public:
  explicit Blkd(const MethodSettings& s) : settings_(s), paper_(s.form == "paper") {
    LIMBECK_CHECK(paper_ || s.form == "official", "distillation.form: expected official or paper, found '", s.form, "'");
    LIMBECK_CHECK(s.temperature > 0, "distillation.temperature: expected a positive number, found ", s.temperature);
    LIMBECK_CHECK(s.soft_weight >= 0 && s.hard_weight >= 0, "distillation: the weights must not be negative");
    LIMBECK_CHECK(!paper_ || s.soft_weight <= 1, "distillation.soft_weight: expected at most 1 in the paper's form, found ", s.soft_weight);
  }
  std::string name() const override { return "blkd"; }
  void prepare(const nn::Features& student, const nn::Features& teacher, const Stream& init) override {
    Method::prepare(student, teacher, init);
    LIMBECK_CHECK(student.output.size(1) > 1, "blkd needs class logits; the networks have one output");
  }
  double hard_weight() const override { return paper_ ? 1 - settings_.soft_weight : settings_.hard_weight; }
  Variable loss(const DistillationStep& step) override {
    const Variable& s = step.student.output;
    const Tensor& t = step.teacher.output.data();
    const double temperature = settings_.temperature;
    if (!paper_) return distillation_loss(s, t, temperature) * settings_.soft_weight;
    const Variable target = softmax(Variable(t) * (1 / temperature));
    return soft_cross_entropy(s * (1 / temperature), target) * settings_.soft_weight;
  }

 private:
  MethodSettings settings_;
  bool paper_;
};

const RegisterMethod registered({"blkd", "softened logits (Hinton et al. 2015)",
                                 [](const MethodSettings& s) { return std::make_unique<Blkd>(s); }});

}  // namespace
}  // namespace limbeck::kd
