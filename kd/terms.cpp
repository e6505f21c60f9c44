#include "kd/terms.h"

namespace limbeck::kd {

Variable softened(const Variable& logits, const LossWeights& w) {
  if (!w.standardise) return logits * (1 / w.temperature);
  const Variable centred = logits - mean(logits, {1}, true);
  return centred / ((sqrt(var(logits, {1}, true, true)) + 1e-7) * w.temperature);
}

Variable soft_loss(const Variable& student, const Variable& teacher, const LossWeights& w) {
  Variable p;
  {
    NoGrad off;
    p = softmax(softened(Variable(teacher.data()), w));
  }
  return kl_div(log_softmax(softened(student, w)), p) * (w.temperature * w.temperature);
}

Variable ramp(const train::Step& step, double epochs, double first, const Variable& like) {
  const Variable clock(step.clock.to(like.dtype()));
  return clamp(affine(slice(clock, 0, 1, 2), 1 / epochs, first / epochs), 0, 1);
}

Tensor identity(int64_t n, const Tensor& t) {
  std::vector<double> values(static_cast<size_t>(n * n), 0.0);
  for (int64_t i = 0; i < n; ++i) values[static_cast<size_t>(i * (n + 1))] = 1;
  return Tensor::of(values, {n, n}).to(t.dtype()).to(t.device());
}

Variable correlation(const Variable& a, const Variable& b, int64_t axis) {
  const auto norm = [axis](const Variable& x) {
    return sqrt(sum(square(x), {axis}) + 1e-24);  // a gradient at 0 too
  };
  const Variable ca = a - mean(a, {axis}, true), cb = b - mean(b, {axis}, true);
  return sum(ca * cb, {axis}) / (norm(ca) * norm(cb) + 1e-8);
}

void check_class_logits(const std::string& method, const Pair& pair) {
  const Shape &student = pair.student.output.shape(), &teacher = pair.teacher.output.shape();
  LIMBECK_CHECK(student[1] > 1, method, " needs class logits; the networks have one output");
  LIMBECK_CHECK(student == teacher, method, ": the student's output ", student,
                " does not match the teacher's ", teacher);
}

Variable unit_rows(const Variable& x) { return x / sqrt(sum(square(x), {x.rank() - 1}, true)); }

}  // namespace limbeck::kd
