#include "kd/data_free/update.h"

#include <cmath>

#include "nn/gradients.h"
#include "nn/mode.h"
#include "ops/random.h"

namespace limbeck::kd::data_free {
namespace {

Variable plus(const Variable& sum, const Variable& term, double weight) {
  const Variable weighted = weight == 1 ? term : term * weight;
  return sum ? sum + weighted : weighted;
}

Variable adversarial_term(const std::string& kind, const Variable& s, const Variable& t) {
  if (kind == "l1") return adversarial_l1(s, t);
  if (kind == "kl") return adversarial_kl(s, t);
  if (kind == "kl_mean") return adversarial_kl(s, t) * (1 / static_cast<double>(t.size(1)));
  if (kind == "decision") return adversarial_decision(s, t);
  if (kind == "js") return adversarial_js(s, t);
  fail("adversary: unknown '", kind, "'");
}

/// Mean distance of what the teacher says to what was asked for, of the first images.
Variable requested_term(const Variable& t, const MadeImages& made, int64_t images) {
  const Variable asked = slice(t, 0, 0, images);
  if (made.targets) return soft_target_loss(asked, made.targets.rows(0, images));
  const Tensor labels = made.labels.rows(0, images);
  return are_responses(labels) ? l1_loss(asked, Variable(labels)) : cross_entropy(asked, labels);
}

/// The terms of what the teacher says, of the images that count as labelled and of the others.
Variable teacher_terms(const GeneratorLossSettings& s, const nn::Features& t,
                       const MadeImages& made) {
  const int64_t n = t.output.size(0), classes = t.output.size(1),
                labelled = static_cast<int64_t>(std::floor(s.labelled * static_cast<double>(n)));
  Variable sum;
  if (s.cls > 0 && labelled > 0) sum = plus(sum, requested_term(t.output, made, labelled), s.cls);
  if (labelled == n) return sum;
  constexpr int64_t many = 100;
  const double balance = s.balance < 0 ? (classes < many ? 5 : 20) : s.balance;
  const Variable rest = slice(t.output, 0, labelled, n);
  if (s.one_hot > 0) sum = plus(sum, one_hot_loss(rest), s.one_hot);
  if (balance > 0) sum = plus(sum, class_balance(rest), balance);
  if (s.activation > 0)
    sum = plus(sum, activation_loss(slice(t.last_input(), 0, labelled, n)), s.activation);
  return sum;
}

/// The maps without their history: the student's loss says nothing to the generator.
nn::Features constants(const nn::Features& f) {
  nn::Features copy;
  for (const Variable& tap : f.taps) copy.taps.push_back(tap.detach());
  return copy;
}

}  // namespace

GeneratorLoss generator_loss(const GeneratorLossSettings& s, nn::Network& teacher,
                             nn::Network* student, const MadeImages& made,
                             const LossConditions& conditions) {
  GeneratorLoss loss;
  {
    const nn::BatchNormTap tap;
    loss.teacher = teacher.forward_features(made.images);
    loss.norms = tap.inputs();
  }
  const nn::Features& t = loss.teacher;
  loss.total = teacher_terms(s, t, made);
  if (s.statistics > 0) {
    loss.moments = moments_of(loss.norms);
    const Variable term =
        s.statistics_form == "squares" ? statistics_squares(loss.norms, loss.moments)
        : conditions.averages.empty()
            ? statistics_norms(loss.norms, loss.moments)
            : statistics_norms(loss.norms,
                               averaged(conditions.averages, loss.moments, conditions.momentum));
    loss.statistics = term.data();
    loss.total = plus(loss.total, term, s.statistics);
  } else {
    loss.statistics = Tensor::zeros({}, DType::f32, made.images.data().device());
  }
  if (s.adversary != "none" && s.adversarial > 0) {
    LIMBECK_CHECK(student, "generator_loss: an adversary needs a student");
    const Variable term = adversarial_term(s.adversary, (*student)(made.images), t.output);
    loss.total = conditions.adversarial ? plus(loss.total, term * conditions.adversarial, 1)
                                        : plus(loss.total, term, s.adversarial);
  }
  return loss;
}

namespace {

Variable distance(const std::string& form, const Variable& s, const Tensor& t) {
  return form == "l2" ? mse_loss(s, Variable(t)) : l1_loss(s, Variable(t));
}

}  // namespace

Variable student_loss(const StudentLossSettings& s, const nn::Features& student,
                      const nn::Features& teacher, const Tensor& labels) {
  const Tensor t = teacher.output.data();
  Variable loss;
  if (s.weight > 0) {
    const bool of_values = s.form == "l1" || s.form == "l2";
    const double divisor = s.form == "kl_mean" ? static_cast<double>(t.size(1)) : 1;
    loss = plus(loss,
                of_values ? distance(s.form, student.output, t)
                          : distillation_loss(student.output, t, s.temperature),
                s.weight / divisor);
  }
  if (s.cross_entropy > 0)
    loss = plus(loss,
                are_responses(labels) ? distance(s.form, student.output, labels)
                                      : agreed_cross_entropy(student.output, t, labels, s.keep),
                s.cross_entropy);
  if (s.attention > 0)
    loss = plus(loss, attention_distance(student, constants(teacher)), s.attention);
  return loss;
}

gan::Condition condition_of(const Tensor& labels, const Tensor& targets) {
  if (are_responses(labels)) return {{}, Variable(labels)};
  return {labels, targets ? Variable(targets) : Variable()};
}

std::optional<DirichletTargets> targets_of(const GeneratorLossSettings& s,
                                           const nn::Network& teacher, int64_t classes) {
  if (s.targets != "dirichlet") return {};
  return DirichletTargets(last_weight(teacher, classes));
}

Update::Update(const Networks& networks, const Settings& settings, int64_t classes)
    : n_(networks),
      s_(settings),
      classes_(classes),
      targets_(targets_of(settings.loss, networks.teacher, classes)),
      generator_optimizer_(networks.generator.parameters(), {.lr = settings.generator.lr,
                                                             .beta1 = settings.generator.beta1,
                                                             .beta2 = settings.generator.beta2}),
      student_optimizer_(
          nn::create_optimizer(networks.student.parameters(), train::optimizer_of(settings))),
      standardise_(networks.generator.standardisation().mean,
                   networks.generator.standardisation().deviation, networks.student.device()),
      generator_graph_(networks.generator.device(), {&networks.generator, &networks.student},
                       [this](const Tensors& in) { return update_generator(in); }),
      student_graph_(networks.generator.device(), {&networks.generator, &networks.student},
                     [this](const Tensors& in) { return update_student(in); }),
      joint_graph_(networks.generator.device(), {&networks.generator, &networks.student},
                   [this](const Tensors& in) { return update_joint(in); }),
      student_on_graph_(networks.student.device(), {&networks.student},
                        [this](const Tensors& in) { return update_student_on(in); }),
      student_beside_graph_(networks.generator.device(), {&networks.generator, &networks.student},
                            [this](const Tensors& in) { return update_student_beside(in); }) {}

Tensors Update::inputs(const Stream& images, double adversarial, int64_t count) const {
  return {places_of({images.fork("z"), images.fork("labels")}),
          Tensor::of<float>({static_cast<float>(adversarial)}),
          targets_ ? targets_->draw(count, images.fork("labels")) : Tensor()};
}

Update::Drawn Update::draw(const Tensors& in, int64_t images) const {
  const Tensor z = draw_normal(place_at(in[0], 0), {images, n_.generator.config().dim_z});
  const Tensor& targets = in[2];
  if (targets) return {z, argmax(targets), targets};
  return {z, draw_labels(place_at(in[0], 1), images), {}};
}

/// Classes, or responses among a million and some that divide [0, 1] evenly.
Tensor Update::draw_labels(const Tensor& place, int64_t images) const {
  if (classes_ > 0) return draw_integers(place, {images}, 0, classes_);
  constexpr int64_t steps = 1 << 20;
  const Tensor numbers = draw_integers(place, {images, 1}, 0, steps + 1).to(DType::f32);
  return affine(Variable(numbers), 1.0 / steps, 0).data();
}

MadeImages Update::make(const Drawn& drawn) const {
  return {n_.generator.standardised(Variable(drawn.z), condition_of(drawn.labels, drawn.targets)),
          drawn.labels, drawn.targets};
}

void Update::step_generator() {
  if (s_.generator.clip > 0) nn::clip_gradients(n_.generator.parameters(), s_.generator.clip);
  generator_optimizer_.step();
}

void Update::step_student() {
  if (s_.clip > 0) nn::clip_gradients(n_.student.parameters(), s_.clip);
  student_optimizer_->step();
}

Tensors Update::update_generator(const Tensors& in) {
  const nn::ModeOf mode(n_.student, !s_.loss.student_eval);
  n_.student.set_requires_grad(false);
  const GeneratorLoss loss =
      generator_loss(s_.loss, n_.teacher, &n_.student, make(draw(in, s_.batch)),
                     {.adversarial = reshape(Variable(in[1]), Shape{})});
  n_.student.set_requires_grad(true);
  generator_optimizer_.zero_grad();
  loss.total.backward();
  step_generator();
  return {loss.total.data(), loss.statistics};
}

Tensors Update::described(const Variable& loss, const Variable& teacher, const Variable& student,
                          const Tensor& labels) const {
  const NoGrad no_grad;
  if (are_responses(labels)) {
    const Variable t(teacher.data());
    return {loss.data(), l1_loss(t, Variable(labels)).data(),
            l1_loss(Variable(student.data()), t).data()};
  }
  const Tensor predicted = argmax(teacher.data());
  const auto share = [](const Tensor& a, const Tensor& b) {
    return mean(Variable(equal(a, b).to(DType::f32))).data();
  };
  const Variable t(teacher.data());
  const Variable entropy = -mean(sum(softmax(t) * log_softmax(t), {1}));
  return {loss.data(), share(predicted, labels), entropy.data(),
          share(argmax(student.data()), predicted),
          mean(Variable(one_hot(predicted, classes_)), {0}).data()};
}

MadeImages Update::images_for_student(const Tensors& in, int64_t count) const {
  const NoGrad no_grad;
  const nn::ModeOf mode(n_.generator, !s_.generator.eval_images);
  return make(draw(in, count));
}

Tensors Update::update_student(const Tensors& in) {
  const MadeImages made = images_for_student(in, s_.batch);
  Tensors all = learn(made);
  if (s_.pool > 0) all.insert(all.end(), {made.images.data(), made.labels});
  return all;
}

Tensors Update::update_student_beside(const Tensors& in) {
  const MadeImages made = images_for_student(in, s_.batch - s_.pooled());
  const Tensor pooled = standardise_(in[3], in[4]);
  // concat is of floating point; classes are small enough to pass through f32
  const auto joined = [](const Tensor& a, const Tensor& b) {
    const NoGrad no_grad;
    return concat({Variable(a.to(DType::f32)), Variable(b.to(DType::f32))}, 0).data();
  };
  const Tensor labels = joined(made.labels, in[5]).to(made.labels.dtype());
  Tensors all = learn({Variable(joined(made.images.data(), pooled)), labels});
  all.insert(all.end(), {made.images.data(), made.labels});
  return all;
}

Tensors Update::update_student_on(const Tensors& in) {
  return learn({Variable(standardise_(in[0], in[1])), in[2]});
}

Tensors Update::learn(const MadeImages& made) {
  const nn::Features t = [&] {
    const NoGrad no_grad;
    return n_.teacher.forward_features(made.images);
  }();
  const nn::Features s = n_.student.forward_features(Variable(made.images.data()));
  const Variable loss = student_loss(s_.distillation, s, t, made.labels);
  student_optimizer_->zero_grad();
  loss.backward();
  step_student();
  return described(loss, t.output, s.output, made.labels);
}

/// One backward of the sum, as in DAFL: the student sees the images as constants.
Tensors Update::update_joint(const Tensors& in) {
  const MadeImages made = make(draw(in, s_.batch));
  const GeneratorLoss of_generator = generator_loss(s_.loss, n_.teacher, nullptr, made);
  const nn::Features& t = of_generator.teacher;
  const nn::Features s = n_.student.forward_features(Variable(made.images.data()));
  const Variable of_student = student_loss(s_.distillation, s, t, made.labels);
  generator_optimizer_.zero_grad();
  student_optimizer_->zero_grad();
  (of_generator.total + of_student).backward();
  step_generator();
  step_student();
  Tensors all{of_generator.total.data(), of_generator.statistics};
  const Tensors of = described(of_student, t.output, s.output, made.labels);
  all.insert(all.end(), of.begin(), of.end());
  return all;
}

Tensors Update::generator(const Stream& images, const Stream& dropout, double adversarial) {
  n_.student.set_streams(dropout);
  return generator_graph_(inputs(images, adversarial, s_.batch));
}
Tensors Update::student(const Stream& images, const Stream& dropout) {
  n_.student.set_streams(dropout);
  return student_graph_(inputs(images, 0, s_.batch));
}
Tensors Update::student_on(const Tensor& images, const Tensor& draws, const Tensor& labels,
                           const Stream& dropout) {
  n_.student.set_streams(dropout);
  return student_on_graph_({images, draws, labels});
}
Tensors Update::student_beside(const Stream& images, const Tensor& pooled, const Tensor& draws,
                               const Tensor& labels, const Stream& dropout) {
  n_.student.set_streams(dropout);
  Tensors in = inputs(images, 0, s_.batch - s_.pooled());
  in.insert(in.end(), {pooled, draws, labels});
  return student_beside_graph_(in);
}
Tensors Update::joint(const Stream& images, const Stream& dropout, double adversarial) {
  n_.student.set_streams(dropout);
  return joint_graph_(inputs(images, adversarial, s_.batch));
}

}  // namespace limbeck::kd::data_free
