// DIST: instead of equal probabilities, correlated ones: within each image over the classes and
// within each class over the images of the batch (Huang, You, Wang, Qian, Xu, "Knowledge
// distillation from a stronger teacher", NeurIPS 2022, Eq. 4, 7, 9; official code: DIST_KD).
//   r(a, b) = <a - mean a, b - mean b> / (|a - mean a| |b - mean b| + 1e-8)
//   inter = 1 - mean over rows of r,  intra = 1 - mean over columns of r,  of P = softmax(z / T)
//   loss = T^2 (beta inter + gamma intra),  beta = gamma = 2, T = 4 on CIFAR-100;  plus CE
// The factor T^2 is the code's, which writes it as weights 1, 1 and a weight 2 of the whole. On
// ImageNet the paper takes T = 1.
#include "kd/terms.h"

namespace limbeck::kd::dist {
namespace {

struct DistSettings : LossWeights {
  double beta = 2, gamma = 2;
  DistSettings() { soft_weight = 0; }
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("beta", beta, "weight of the correlation over classes");
    v("gamma", gamma, "weight of the correlation over images");
  }
};

/// 1 - the mean correlation of vectors along `axis`.
Variable distance(const Variable& a, const Variable& b, int64_t axis) {
  return affine(mean(correlation(a, b, axis)), -1, 1);
}

class Dist : public Method {
 public:
  using Settings = DistSettings;
  explicit Dist(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(s.beta >= 0, "methods.dist.beta: expected 0 or more, found ", s.beta);
    LIMBECK_CHECK(s.gamma >= 0, "methods.dist.gamma: expected 0 or more, found ", s.gamma);
  }
  LossWeights weights() const override { return settings_; }

  void check(const Pair& pair) override { check_class_logits("dist", pair); }

  Variable loss(const DistillationStep& step) override {
    const Variable student = softmax(softened(step.student.output, settings_));
    const Variable teacher = softmax(softened(Variable(step.teacher.output.data()), settings_));
    const double t2 = settings_.temperature * settings_.temperature;
    return distance(student, teacher, 1) * (settings_.beta * t2) +
           distance(student, teacher, 0) * (settings_.gamma * t2);
  }

 private:
  const Settings settings_;
};

const RegisterMethod<Dist> registered("dist", "DIST", Family::logits,
                                      "correlated probabilities (Huang et al. 2022)");

}  // namespace
}  // namespace limbeck::kd::dist
