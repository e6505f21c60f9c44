#include "kd/distillation.h"

namespace limbeck::kd {

Distillation::Distillation(std::string name, std::unique_ptr<Method> method,
                           std::unique_ptr<nn::Network> teacher, nn::Task task,
                           DirectoryOf directory_of)
    : name_(std::move(name)),
      method_(std::move(method)),
      teacher_(std::move(teacher)),
      weights_(method_->weights()),
      directory_of_(std::move(directory_of)) {
  if (task == nn::Task::regression) weights_.soft_weight = 0;  // a response is no distribution
  teacher_->set_requires_grad(false);
  teacher_->eval();
}

void Distillation::prepare(const Probe& probe) {
  teacher_->eval();
  const nn::Features teacher = teacher_->forward_features(probe.images, preact());
  LIMBECK_CHECK(
      weights_.soft_weight == 0 || probe.features.output.shape() == teacher.output.shape(), name_,
      ": the student's output ", probe.features.output.shape(), " does not match the teacher's ",
      teacher.output.shape());
  method_->prepare(
      {probe.network, *teacher_, probe.features, teacher, probe.train, probe.init, directory_of_});
}

Variable Distillation::loss(const train::Step& step) {
  {
    NoGrad no_grad;
    seen_ = teacher_->forward_features(Variable(step.batch.images), preact());
  }
  Variable total;
  if (weights_.soft_weight > 0)
    total = distillation_loss(step.features.output, seen_.output.data(), weights_.temperature) *
            weights_.soft_weight;
  const Variable own = method_->loss({step.features, seen_, step, *teacher_});
  if (!own.defined()) {
    LIMBECK_CHECK(total.defined() || !method_->preparations().empty(), name_,
                  ": has no term for this task");
    return total;  // undefined where the stage before was all
  }
  return total.defined() ? total + own : own;
}

void Distillation::after_step(const train::Step& step) {
  method_->after_step({step.features, seen_, step, *teacher_});
  seen_ = {};
}

}  // namespace limbeck::kd
