// DKD: the soft targets' divergence decoupled into what they say of the true class and of the
// others (Zhao, Cui, Song, Qiu, Liang, "Decoupled knowledge distillation", CVPR 2022; official
// code: mdistiller).
//   TCKD = KL((p_y, 1 - p_y) of the teacher || of the student)
//   NCKD = KL of the softmax over the other classes alone
//   loss = min(1, epoch / warmup) T^2 (alpha TCKD + beta NCKD) / N,  epochs from 1;  plus CE
//   alpha = 1, beta = 8, T = 4, warmup = 20: mdistiller's defaults. Its scripts take beta 2 for
//   resnet56 > resnet20 and resnet110 > resnet32, 6 for vgg13 > vgg8, vgg13 > MobileNetV2,
//   wrn_40_2 > wrn_16_2 and wrn_40_2 > wrn_40_1, 8 for all others; what a pair takes is set here
// The paper's Eq. 7 says KL = TCKD + (1 - p_y) NCKD: beta stands in the place of 1 - p_y. Paper
// without, code with the factor T^2. The code hides the true class by subtracting 1000 from its
// softened logit, and so does this.
#include "kd/terms.h"

namespace limbeck::kd::dkd {
namespace {

struct DkdSettings : EarlyDropWeights {
  double alpha = 1, beta = 8, warmup = 20;
  DkdSettings() { soft_weight = 0; }
  void fields(FieldVisitor& v) {
    EarlyDropWeights::fields(v);
    v("alpha", alpha, "weight of the true class's term");
    v("beta", beta, "weight of the other classes' term");
    v("warmup", warmup, "epochs over which the two terms rise; 0: at once");
  }
};

class Dkd : public Method {
 public:
  using Settings = DkdSettings;
  explicit Dkd(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(s.alpha >= 0, "methods.dkd.alpha: expected 0 or more, found ", s.alpha);
    LIMBECK_CHECK(s.beta >= 0, "methods.dkd.beta: expected 0 or more, found ", s.beta);
    LIMBECK_CHECK(s.warmup >= 0, "methods.dkd.warmup: expected 0 or more, found ", s.warmup);
  }
  LossWeights weights() const override { return settings_; }
  void adjust(train::Settings& training, bool) const override {
    training.late_drop = settings_.late_drop;
  }

  void check(const Pair& pair) override {
    const Tensor& output = pair.student.output.data();
    LIMBECK_CHECK(output.size(1) > 2, "dkd needs at least 3 class logits, found ", output.size(1));
    LIMBECK_CHECK(output.shape() == pair.teacher.output.shape(), "dkd: the student's output ",
                  output.shape(), " does not match the teacher's ", pair.teacher.output.shape());
  }
  void prepare(const Pair& pair) override {
    const Tensor& output = pair.student.output.data();
    one_hot_ = identity(output.size(1), output);
  }

  Variable loss(const DistillationStep& step) override {
    const Variable truth = index_select(Variable(one_hot_), step.step.batch.labels);
    const Variable student = softened(step.student.output, settings_);
    const Variable teacher = softened(Variable(step.teacher.output.data()), settings_);
    const Variable target =
        kl_div(log(true_and_rest(student, truth)), true_and_rest(teacher, truth));
    const Variable hidden = truth * 1000.0;
    const Variable others = kl_div(log_softmax(student - hidden), softmax(teacher - hidden));
    const double t2 = settings_.temperature * settings_.temperature;
    const Variable sum = target * (settings_.alpha * t2) + others * (settings_.beta * t2);
    return settings_.warmup > 0 ? reshape(sum * ramp(step.step, settings_.warmup, 1, sum), {})
                                : sum;
  }

 private:
  /// [N, 2]; far from zero, where the logarithm has no value.
  static Variable true_and_rest(const Variable& softened_logits, const Variable& truth) {
    const Variable p = softmax(softened_logits);
    const Variable of_truth = p * truth;
    return clamp(concat({sum(of_truth, {1}, true), sum(p - of_truth, {1}, true)}, 1), 1e-30, 2);
  }

  const Settings settings_;
  Tensor one_hot_;
};

const RegisterMethod<Dkd> registered("dkd", "DKD", Family::logits,
                                     "true class and other classes apart (Zhao et al. 2022)");

}  // namespace
}  // namespace limbeck::kd::dkd
