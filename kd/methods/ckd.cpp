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
// teacher_calls = n, the paper's setting: the teacher sees n training images once (few_calls.h);
// soft targets and pairs are of those, all others have their labels alone.
#include <cmath>

#include "autograd/autocast.h"
#include "kd/few_calls.h"
#include "kd/terms.h"

namespace limbeck::kd::ckd {
namespace {

struct CkdSettings : LossWeights {
  std::string form = "kl";
  double weight = 1;
  int64_t group = 1, teacher_calls = 0;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("form", form, "kl: divergence of softened differences | mse: squared difference of them");
    v("weight", weight, "of the differences' term");
    v("group", group, "images of a group whose mean output is compared; 1: single images");
    v("teacher_calls", teacher_calls,
      "real images that the teacher sees, once; 0: every image in every step",
      influence_if(teacher_calls > 0));
  }
};

class Ckd : public Method {
 public:
  using Settings = CkdSettings;
  explicit Ckd(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(s.form == "kl" || s.form == "mse",
                  "methods.ckd.form: expected kl or mse, found '", s.form, "'");
    LIMBECK_CHECK(s.group >= 1, "methods.ckd.group: expected 1 or more, found ", s.group);
    LIMBECK_CHECK(s.teacher_calls >= 0, "methods.ckd.teacher_calls: expected 0 or more, found ",
                  s.teacher_calls);
    LIMBECK_CHECK(s.teacher_calls == 0 || s.group == 1,
                  "methods.ckd.group: expected 1 where teacher_calls is set, found ", s.group);
    LIMBECK_CHECK(s.teacher_calls == 0 || s.teacher_bn == "eval",
                  "methods.ckd.teacher_bn: expected eval where teacher_calls is set, found '",
                  s.teacher_bn, "'");
    check_weight(s.weight, "ckd");
  }
  /// With few calls soft targets are a part of the method's own term.
  LossWeights weights() const override {
    LossWeights w = settings_;
    if (has_few_calls()) w.soft_weight = 0;
    return w;
  }
  std::vector<Preparation> preparations() const override {
    if (!has_few_calls()) return {};
    return {few_calls(
        "CKD-R: the teacher's logits of " + std::to_string(settings_.teacher_calls) + " images",
        settings_.teacher_calls)};
  }
  std::unique_ptr<nn::Network> other_teacher(
      const std::function<std::string(const std::string&)>& directory_of, Device device) override {
    if (!has_few_calls() || !directory_of) return nullptr;  // the pair is only tried
    std::unique_ptr<nn::Network> silent = silent_teacher(directory_of("logits"));
    silent->to(device);
    return silent;
  }
  void prepare(const Pair& pair) override {
    if (!has_few_calls()) return;
    known_ = std::make_unique<KnownLogits>(pair.train.size(), pair.student.output.size(1));
    if (pair.directory_of) known_->read(pair.directory_of("logits"));
  }
  nn::Module* auxiliary() override { return known_.get(); }
  void check(const Pair& pair) override {
    const Shape &student = pair.student.output.shape(), &teacher = pair.teacher.output.shape();
    LIMBECK_CHECK(student == teacher, "ckd: the student's output ", student,
                  " does not match the teacher's ", teacher);
    LIMBECK_CHECK(student[1] > 1 || settings_.form == "mse",
                  "ckd: form kl needs class logits, the networks have one output; "
                  "methods.ckd.form = \"mse\" serves them");
  }
  Variable loss(const DistillationStep& step) override {
    if (has_few_calls()) return of_known(step);
    const Variable student = grouped(from_activation(step.student.output)),
                   teacher = grouped(from_activation(Variable(step.teacher.output.data())));
    if (student.size(0) < 2) return sum(step.student.output) * 0.0;
    return (settings_.form == "kl" ? divergence(student, teacher) : squares(student, teacher)) *
           settings_.weight;
  }

 private:
  bool has_few_calls() const { return settings_.teacher_calls > 0; }

  /// The same terms over the m images of the batch that the teacher has seen.
  Variable of_known(const DistillationStep& step) const {
    const Variable s = from_activation(step.student.output);
    const auto [t, known] = known_->of(step.step.rows);
    const int64_t n = s.size(0), k = s.size(1);
    const Variable m = sum(known);
    if (settings_.form == "mse") {
      const Variable e = (s - t) * known;
      const Variable centred = e - sum(e, {0}, true) / clamp(m, 1, 1e30);
      return sum(square(centred) * known) / clamp(m - 1.0, 1, 1e30) *
                 (2 * settings_.weight / static_cast<double>(k)) +
             soft_targets(s, t, known, m);
    }
    const double t2 = settings_.temperature * settings_.temperature;
    const Variable pairs = reshape(known * reshape(known, {1, n}), {n * n});
    const Variable each =
        kl_div(log_softmax(differences(s)), softmax(differences(t)), Reduction::none);
    return sum(each * pairs) / clamp(m * (m - 1.0), 1, 1e30) * (t2 * settings_.weight) +
           soft_targets(s, t, known, m);
  }
  Variable soft_targets(const Variable& s, const Variable& t, const Variable& known,
                        const Variable& m) const {
    const double t2 = settings_.temperature * settings_.temperature;
    if (s.size(1) == 1) return sum(s) * 0.0;  // a response is no distribution
    const Variable each = kl_div(log_softmax(softened(s, settings_)),
                                 softmax(softened(t, settings_)), Reduction::none);
    return sum(each * reshape(known, {-1})) / clamp(m, 1, 1e30) * (t2 * settings_.soft_weight);
  }

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
  std::unique_ptr<KnownLogits> known_;
};

const RegisterMethod<Ckd> registered("ckd", "CKD-R", Family::logits,
                                     "differences between images (after Wilf et al. 2023)");

}  // namespace
}  // namespace limbeck::kd::ckd
