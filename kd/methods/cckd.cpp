// CCKD: the teacher is believed as far as it believes in the true class (Mishra, Sundaram,
// "Confidence conditioned knowledge distillation", 2021).
//   p_t, p_s = softmax of teacher's and student's logits / T,  l_i = p_t[i, y_i],
//   H(a; b) = cross entropy of b with the targets a
//   form "l":      mean_i( l_i H(p_t; p_s) + (1 - l_i) CE(s, y) )
//   form "t":      mean_i H(l_i p_t + (1 - l_i) onehot(y_i); p_s)
//   form "t_reg":  the same over the images that are used: those where the student errs, or is
//                  right with p_s(first) - p_s(second) < 1 - exp(-alpha epoch),  epochs from 0
// Paper: H is linear in its targets, so with CE on the softened student, as the paper's algorithm
// reads, "l" and "t" are one loss; here CE takes the logits as they are, and they are one at T = 1
// alone. No factor T^2. In a step that uses no image the gradient is 0, and the optimiser still has
// its momentum and weight decay. Ours: with swap_for_fakes l_i is 1 - l_i on fakes, since one in
// which the teacher does not see the label has the wrong label rather than the wrong teacher.
#include "kd/terms.h"

namespace limbeck::kd::cckd {
namespace {

struct CckdSettings : LossWeights {
  std::string form = "t";
  double alpha = 0.01;
  bool swap_for_fakes = false;
  CckdSettings() { hard_weight = 0, soft_weight = 0, temperature = 1; }
  void fields(FieldVisitor& v) {
    v("form", form,
      "l: two losses weighed by the confidence | t: one loss with mixed targets | t_reg: t on "
      "images "
      "that the student does not know well");
    v("alpha", alpha, "t_reg: how fast the epochs raise the margin below which images are used",
      influence_if(form == "t_reg"));
    v("swap_for_fakes", swap_for_fakes,
      "on fakes the confidence weighs the label, and what lacks of it the teacher",
      influence_if(swap_for_fakes));
    LossWeights::fields(v);
  }
};

class Cckd : public Method {
 public:
  using Settings = CckdSettings;
  explicit Cckd(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(s.form == "l" || s.form == "t" || s.form == "t_reg",
                  "methods.cckd.form: expected l, t or t_reg, found '", s.form, "'");
    check_weight(s.alpha, "cckd", "alpha");
  }
  LossWeights weights() const override { return settings_; }
  void check(const Pair& pair) override { check_class_logits("cckd", pair); }
  void prepare(const Pair& pair) override {
    const Tensor& logits = pair.student.output.data();
    one_hot_ = identity(logits.size(1), logits);
    first_fake_ = Tensor::of<int64_t>({pair.first_fake}).to(logits.device());
  }

  Variable loss(const DistillationStep& step) override {
    const Tensor& labels = step.step.batch.labels;
    const Variable& logits = step.student.output;
    const Variable student = softened(logits, settings_);
    const Variable target = softmax(softened(Variable(step.teacher.output.data()), settings_));
    const Variable belief = reshape(trust(gather(target, labels), step.step.rows), {-1, 1});
    if (settings_.form == "l") {
      const Variable soft = soft_cross_entropy(student, target, Reduction::none),
                     hard = cross_entropy(logits, labels, Reduction::none),
                     l = reshape(belief, {-1});
      return mean(l * soft + affine(l, -1, 1) * hard);
    }
    const Variable truth = index_select(Variable(one_hot_), labels);
    const Variable mixed = belief * target + affine(belief, -1, 1) * truth;
    const Variable each = soft_cross_entropy(student, mixed, Reduction::none);
    if (settings_.form == "t") return mean(each);
    const Variable used = used_images(softmax(student), labels, step.step);
    return sum(each * used) / clamp(sum(used), 1, 1e30);
  }

 private:
  /// The weight of the teacher, from its confidence, [n] both.
  Variable trust(const Variable& confidence, const Tensor& rows) const {
    if (!settings_.swap_for_fakes) return confidence;
    return where(greater_equal(rows, first_fake_), affine(confidence, -1, 1), confidence);
  }
  /// 1 or 0 of each image, from the probabilities before the update.
  Variable used_images(const Variable& p, const Tensor& labels, const train::Step& step) const {
    const NoGrad no_grad;
    const auto [best, index] = topk(Variable(p.data()), 2);
    const Variable margin = reshape(slice(best, 1, 0, 1) - slice(best, 1, 1, 2), {-1});
    const Variable epoch(step.clock.to(margin.dtype()));
    const Variable bound = affine(exp(slice(epoch, 0, 1, 2) * -settings_.alpha), -1, 1);
    const Variable one(Tensor::full({}, 1, margin.dtype(), margin.data().device()));
    const Variable confident = where(less(margin.data(), bound.data()), one, one * 0.0);
    const Tensor wrong = not_equal(argmax(p.data()), labels);
    return where(wrong, one, confident);
  }

  const Settings settings_;
  Tensor one_hot_, first_fake_;
};

const RegisterMethod<Cckd> registered("cckd", "CCKD", Family::logits,
                                      "targets by the teacher's confidence (Mishra and Sundaram "
                                      "2021)");

}  // namespace
}  // namespace limbeck::kd::cckd
