// CKD-R: the student learns how the teacher's outputs differ between images. A reconstruction:
// of Wilf et al., "Comparative knowledge distillation", 2023, this follows the idea (vectors of
// differences, also between groups of images, for few calls of the teacher); outputs, loss,
// temperature and weights are this project's. (Contrastive KD, 2024, has the same three letters.)
//   z: logits, or with group = k > 1 the mean logits of k images each; n of them in a batch
//   form "kl":   weight T^2 / (n (n - 1)) sum_{i != j} KL( p(z_t,i - z_t,j) || p(z_s,i - z_s,j) ),
//                p = softmax of the difference / T, over ordered pairs: KL is not symmetric
//   form "mse":  weight mean over pairs and outputs of ((z_t,i - z_t,j) - (z_s,i - z_s,j))^2
//              = weight 2 / ((n - 1) K) sum_i |e_i - mean e|^2,  e = z_s - z_t
// plus CE and soft targets, which fix the offset common to all images that no difference sees.
// Batches come shuffled, so groups of neighbours are random ones; images that fill no group are
// left out, and a batch of fewer than two groups has no term.
#include <cmath>

#include "autograd/autocast.h"
#include "kd/terms.h"

namespace limbeck::kd::ckd {
namespace {

struct CkdSettings : LossWeights {
  std::string form = "kl";
  double weight = 1;
  int64_t group = 1;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("form", form, "kl: divergence of softened differences | mse: squared difference of them");
    v("weight", weight, "of the differences' term");
    v("group", group, "images of a group whose mean output is compared; 1: single images");
  }
};

class Ckd : public Method {
 public:
  using Settings = CkdSettings;
  explicit Ckd(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(s.form == "kl" || s.form == "mse",
                  "methods.ckd.form: expected kl or mse, found '", s.form, "'");
    LIMBECK_CHECK(s.group >= 1, "methods.ckd.group: expected 1 or more, found ", s.group);
    check_weight(s.weight, "ckd");
  }
  LossWeights weights() const override { return settings_; }
  void check(const Pair& pair) override {
    const Shape &student = pair.student.output.shape(), &teacher = pair.teacher.output.shape();
    LIMBECK_CHECK(student == teacher, "ckd: the student's output ", student,
                  " does not match the teacher's ", teacher);
    LIMBECK_CHECK(student[1] > 1 || settings_.form == "mse",
                  "ckd: form kl needs class logits, the networks have one output; "
                  "methods.ckd.form = \"mse\" serves them");
  }
  Variable loss(const DistillationStep& step) override {
    const Variable student = grouped(from_activation(step.student.output)),
                   teacher = grouped(from_activation(Variable(step.teacher.output.data())));
    if (student.size(0) < 2) return sum(step.student.output) * 0.0;
    return (settings_.form == "kl" ? divergence(student, teacher) : squares(student, teacher)) *
           settings_.weight;
  }

 private:
  Variable grouped(const Variable& z) const {
    const int64_t k = settings_.group, groups = z.size(0) / k;
    if (k == 1 || groups < 2) return k == 1 ? z : slice(z, 0, 0, std::min<int64_t>(1, groups));
    return mean(reshape(slice(z, 0, 0, groups * k), {groups, k, z.size(1)}), {1});
  }
  Variable divergence(const Variable& student, const Variable& teacher) const {
    const double n = static_cast<double>(student.size(0)), t = settings_.temperature;
    // The diagonal is a divergence of equal distributions: 0.
    return kl_div(log_softmax(differences(student)), softmax(differences(teacher)),
                  Reduction::sum) *
           (t * t / (n * (n - 1)));
  }
  /// [n n, K], softened.
  Variable differences(const Variable& z) const {
    const int64_t n = z.size(0), k = z.size(1);
    return reshape(reshape(z, {n, 1, k}) - reshape(z, {1, n, k}), {n * n, k}) *
           (1 / settings_.temperature);
  }
  static Variable squares(const Variable& student, const Variable& teacher) {
    const Variable e = student - teacher;
    const double n = static_cast<double>(e.size(0)), k = static_cast<double>(e.size(1));
    return sum(square(e - mean(e, {0}, true))) * (2 / ((n - 1) * k));
  }

  const Settings settings_;
};

const RegisterMethod<Ckd> registered("ckd", "CKD-R", Family::logits,
                                     "differences between images (after Wilf et al. 2023)");

}  // namespace
}  // namespace limbeck::kd::ckd
