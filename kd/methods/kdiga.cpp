// KDIGA: the student's loss depends on the image as the teacher's does: aligned input gradients
// (Shao, Yi, Chen, Hsieh, "How and when adversarial robustness transfers in knowledge
// distillation", 2021). For the robustness of a teacher that was trained against attacks.
//   g_i = d CE(z_i, y_i) / d x_i, of one image at a time
//   form "norm":    weight mean_i |g_s,i - g_t,i|_2         "squared": weight mean_i |..|^2
//   form "igdm":    alpha KL(softmax(t+ - t-) || softmax(s+ - s-)), t+ and s+ logits of
//                   x + b delta, t- and s- of x - c delta, delta = eps sign(g_s) in units of pixels
//   plus CE and soft targets
// The last one is of Lee et al., "Indirect gradient matching for adversarial robust distillation",
// 2025, after public code: to first order the gradients of all logits in one direction. There delta
// is an attack; here one step of it, since the training is clean. Both sides are one batch, so that
// they have the same statistics; the running ones stay.
// The others are exact without derivatives of a backward pass: with d = g_s - g_t and the constant
// v_i = d_i / (N |d_i|), or 2 d_i / N,
//   d loss / d w = d h / d w,  h = sum_i <softmax(z_i) - onehot(y_i), z'_i>,
// z' the tangent of the student's logits in the direction v (autograd/tangents.h), with the
// statistics and dropouts of the same forward pass.
// x is the network's input, standardised. In train mode batch norms couple the images: g_i is then
// the gradient of the sum of all losses. The paper's weights are not known; a public
// re-implementation takes one norm over the whole batch of the gradients of the mean, about sqrt(N)
// smaller.
#include "kd/methods/kdiga.h"

#include "autograd/autocast.h"
#include "autograd/tangents.h"
#include "kd/terms.h"
#include "nn/layers.h"
#include "train/attack.h"

namespace limbeck::kd::kdiga {

Variable difference_loss(const Variable& student_above, const Variable& student_below,
                         const Variable& teacher_above, const Variable& teacher_below) {
  return distillation_loss(student_above - student_below, (teacher_above - teacher_below).data(),
                           1);
}

namespace {

struct KdigaSettings : LossWeights {
  std::string form = "norm";
  double weight = 1, alpha = 20, eps = 8.0 / 255, b = 1, c = 1;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("form", form,
      "norm | squared: of the gradients' difference | igdm: differences of logits along the "
      "student's gradient");
    v("weight", weight, "norm, squared: of the gradients' difference", influence_if(!indirect()));
    v("alpha", alpha, "igdm: of the logits' differences", influence_if(indirect()));
    v("eps", eps, "igdm: the step along the gradient's sign, pixels being in [0, 1]",
      influence_if(indirect()));
    v("b", b, "igdm: how many such steps forward", influence_if(indirect()));
    v("c", c, "igdm: how many back", influence_if(indirect()));
  }
  bool indirect() const { return form == "igdm"; }
};

/// softmax(z) - onehot(y): the gradient of the summed cross entropy.
Variable error_of(const Variable& logits, const Variable& truth) { return softmax(logits) - truth; }

/// Gradients of that with respect to the images, [N, D].
Variable input_gradients(const Variable& logits, const Tensor& error, const Variable& images) {
  const Tensor g = gradients_keeping_tape({logits}, {error}, {images})[0];
  return Variable(g.reshape({g.size(0), g.numel() / g.size(0)}));
}

/// While it lives no batch norm's running statistics move.
class RunningStatisticsStay {
 public:
  explicit RunningStatisticsStay(nn::Network& network) {
    network.visit([this](const std::string&, nn::Module& m) {
      auto* const norm = dynamic_cast<nn::BatchNorm*>(&m);
      if (!norm) return;
      norms_.emplace_back(norm, norm->momentum());
      norm->set_momentum(0);
    });
  }
  ~RunningStatisticsStay() {
    for (const auto& [norm, momentum] : norms_) norm->set_momentum(momentum);
  }
  RunningStatisticsStay(const RunningStatisticsStay&) = delete;
  RunningStatisticsStay& operator=(const RunningStatisticsStay&) = delete;

 private:
  std::vector<std::pair<nn::BatchNorm*, double>> norms_;
};

/// Logits of the images on both sides, [N, C] each, from one pass over both.
Variables both_sides(nn::Network& network, const Variable& images) {
  const RunningStatisticsStay stay(network);
  const Variable logits = from_activation(network(images));
  const int64_t n = logits.size(0) / 2;
  return {slice(logits, 0, 0, n), slice(logits, 0, n, 2 * n)};
}

class Kdiga : public Method {
 public:
  using Settings = KdigaSettings;
  explicit Kdiga(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(s.form == "norm" || s.form == "squared" || s.indirect(),
                  "methods.kdiga.form: expected norm, squared or igdm, found '", s.form, "'");
    check_weight(s.weight, "kdiga");
    check_weight(s.alpha, "kdiga", "alpha");
    check_weight(s.b, "kdiga", "b");
    check_weight(s.c, "kdiga", "c");
    LIMBECK_CHECK(s.b + s.c > 0,
                  "methods.kdiga.b: expected a step forward or, with c, back; both are 0");
    LIMBECK_CHECK(s.eps > 0 && s.eps <= 1, "methods.kdiga.eps: expected a number in (0, 1], found ",
                  s.eps);
  }
  LossWeights weights() const override { return settings_; }
  bool input_gradients() const override { return true; }
  void check(const Pair& pair) override {
    check_class_logits("kdiga", pair);
    LIMBECK_CHECK(pair.teacher.pooled.defined(),
                  "kdiga: the teacher has no input gradients where only its logits are stored");
  }
  void prepare(const Pair& pair) override {
    const Tensor& logits = pair.student.output.data();
    one_hot_ = identity(logits.size(1), logits);
    std::vector<double> steps;  // per channel, in the network's units
    for (const double d : pair.standardisation.deviation) steps.push_back(settings_.eps / d);
    if (steps.empty()) steps = {settings_.eps};  // the pair is only tried
    step_ = Tensor::of(steps).to(logits.dtype()).to(logits.device());
  }

  Variable loss(const DistillationStep& step) override {
    const train::Step& own = step.step;
    LIMBECK_CHECK(own.calls && own.images && step.teacher_images.defined(),
                  "kdiga: the step has no input gradients");
    const Variable truth = index_select(Variable(one_hot_), own.batch.labels);
    const Variable &student = step.student.output, &teacher = step.teacher.output;
    const Variable error = error_of(student, truth);
    if (settings_.indirect()) return indirect(error.data(), step) * settings_.alpha;
    const Variable d = difference(error, error_of(Variable(teacher.data()), truth), step);
    const Variable squares = sum(square(d), {1}, true);
    const Variable norms = sqrt(squares);
    const bool plain = settings_.form == "norm";
    const double n = static_cast<double>(d.size(0));
    const Variable direction = plain ? d / (clamp(norms, 1e-12, 3e38) * n) : d * (2 / n);
    const Tangents tangents(*own.calls, own.images,
                            Variable(direction.data().reshape(own.images.shape())));
    const Variable h = sum(error * tangents.of(student));
    // h has the gradient, the distance the value.
    const Variable value(plain ? mean(norms).data() : mean(squares).data());
    return (h - h.detach() + value) * settings_.weight;
  }

 private:
  Variable indirect(const Tensor& error, const DistillationStep& step) const {
    const Variable &images = step.step.images, &logits = step.student.output;
    Variable both;
    {
      const NoGrad no_grad;
      const Variable g = kdiga::input_gradients(logits, error, images);
      const Variable delta =
          train::sign(g.data().reshape(images.shape())) * Variable(step_.to(images.dtype()));
      const Variable x(images.data());
      both = concat({x + delta * settings_.b, x - delta * settings_.c}, 0);
    }
    const Variables s = both_sides(step.step.network, both),
                    t = both_sides(step.teacher_network, both);
    return difference_loss(s[0], s[1], t[0], t[1]);
  }
  static Variable difference(const Variable& student_error, const Variable& teacher_error,
                             const DistillationStep& step) {
    const Variable s = kdiga::input_gradients(step.student.output, student_error.data(),
                                              step.step.images),
                   t = kdiga::input_gradients(step.teacher.output, teacher_error.data(),
                                              step.teacher_images);
    return s - t;
  }

  const Settings settings_;
  Tensor one_hot_, step_;
};

const RegisterMethod<Kdiga> registered("kdiga", "KDIGA", Family::gradients,
                                       "aligned input gradients (Shao et al. 2021)");

}  // namespace
}  // namespace limbeck::kd::kdiga
