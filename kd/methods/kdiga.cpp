// KDIGA: the student's loss depends on the image as the teacher's does: aligned input gradients
// (Shao, Yi, Chen, Hsieh, "How and when adversarial robustness transfers in knowledge
// distillation", 2021). For the robustness of a teacher that was trained against attacks.
//   g_i = d CE(z_i, y_i) / d x_i, of one image at a time
//   form "norm":    weight mean_i |g_s,i - g_t,i|_2         "squared": weight mean_i |..|^2
//   plus CE and soft targets
// Exact without derivatives of a backward pass: with d = g_s - g_t and the constant
// v_i = d_i / (N |d_i|), or 2 d_i / N,
//   d loss / d w = d h / d w,  h = sum_i <softmax(z_i) - onehot(y_i), z'_i>,
// z' the tangent of the student's logits in the direction v (autograd/tangents.h), with the
// statistics and dropouts of the same forward pass.
// x is the network's input, standardised. In train mode batch norms couple the images: g_i is then
// the gradient of the sum of all losses. The paper's weights are not known; a public
// re-implementation takes one norm over the whole batch of the gradients of the mean, about sqrt(N)
// smaller.
#include "autograd/tangents.h"
#include "kd/terms.h"

namespace limbeck::kd::kdiga {
namespace {

struct KdigaSettings : LossWeights {
  std::string form = "norm";
  double weight = 1;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("form", form, "norm | squared: of the gradients' difference");
    v("weight", weight, "of the gradients' difference");
  }
};

/// softmax(z) - onehot(y): the gradient of the summed cross entropy.
Variable error_of(const Variable& logits, const Variable& truth) { return softmax(logits) - truth; }

/// Gradients of that with respect to the images, [N, D].
Variable input_gradients(const Variable& logits, const Tensor& error, const Variable& images) {
  const Tensor g = gradients_keeping_tape({logits}, {error}, {images})[0];
  return Variable(g.reshape({g.size(0), g.numel() / g.size(0)}));
}

class Kdiga : public Method {
 public:
  using Settings = KdigaSettings;
  explicit Kdiga(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(s.form == "norm" || s.form == "squared",
                  "methods.kdiga.form: expected norm or squared, found '", s.form, "'");
    check_weight(s.weight, "kdiga");
  }
  LossWeights weights() const override { return settings_; }
  bool input_gradients() const override { return true; }
  void check(const Pair& pair) override {
    check_class_logits("kdiga", pair);
    LIMBECK_CHECK(pair.teacher.pooled.defined(),
                  "kdiga: the teacher has no input gradients where only its logits are stored");
  }
  void prepare(const Pair& pair) override {
    one_hot_ = identity(pair.student.output.size(1), pair.student.output.data());
  }

  Variable loss(const DistillationStep& step) override {
    const train::Step& own = step.step;
    LIMBECK_CHECK(own.calls && own.images && step.teacher_images.defined(),
                  "kdiga: the step has no input gradients");
    const Variable truth = index_select(Variable(one_hot_), own.batch.labels);
    const Variable &student = step.student.output, &teacher = step.teacher.output;
    const Variable error = error_of(student, truth);
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
  static Variable difference(const Variable& student_error, const Variable& teacher_error,
                             const DistillationStep& step) {
    const Variable s = kdiga::input_gradients(step.student.output, student_error.data(),
                                              step.step.images),
                   t = kdiga::input_gradients(step.teacher.output, teacher_error.data(),
                                              step.teacher_images);
    return s - t;
  }

  const Settings settings_;
  Tensor one_hot_;
};

const RegisterMethod<Kdiga> registered("kdiga", "KDIGA", Family::gradients,
                                       "aligned input gradients (Shao et al. 2021)");

}  // namespace
}  // namespace limbeck::kd::kdiga
