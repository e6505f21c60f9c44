#include "kd/distillation.h"

#include "kd/terms.h"

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

Pair Distillation::pair_of(const Probe& probe, const nn::Features& teacher) const {
  return {probe.network, *teacher_,  probe.features, teacher,
          probe.train,   probe.init, probe.batch,    directory_of_};
}

nn::Features Distillation::see(const Variable& images) {
  const NoGrad no_grad;
  return teacher_->forward_features(images, method_->teacher_preact());
}

void Distillation::check(const Probe& probe) {
  teacher_->eval();
  const nn::Features teacher = see(probe.images);
  LIMBECK_CHECK(
      weights_.soft_weight == 0 || probe.features.output.shape() == teacher.output.shape(), name_,
      ": the student's output ", probe.features.output.shape(), " does not match the teacher's ",
      teacher.output.shape());
  method_->check(pair_of(probe, teacher));
}

void Distillation::prepare(const Probe& probe) {
  if (std::unique_ptr<nn::Network> other =
          method_->other_teacher(directory_of_, teacher_->device())) {
    teacher_ = std::move(other);
    teacher_->set_requires_grad(false);
  }
  check(probe);
  const nn::Features teacher = see(probe.images);
  method_->prepare(pair_of(probe, teacher));
  if (!auxiliary_file_.empty())
    method_->auxiliary()->load_state_dict(read_safetensors(auxiliary_file_), auxiliary_file_);
  teacher_->train(method_->teacher_in_train_mode());
}

Variable Distillation::loss(const train::Step& step) {
  seen_ = see(Variable(step.batch.images));
  Variable total;
  if (weights_.soft_weight > 0)
    total = soft_loss(step.features.output, seen_.output, weights_) * weights_.soft_weight;
  const Variable own = method_->loss({step.features, seen_, step, *teacher_});
  if (!own.defined()) {
    LIMBECK_CHECK(total.defined() || !method_->preparations().empty(), name_,
                  ": has no term for this task");
    return total;  // undefined where the stage before was all
  }
  return total.defined() ? total + own : own;
}

Tensor Distillation::prediction(const train::Step& step) {
  return method_->prediction({step.features, seen_, step, *teacher_});
}

void Distillation::after_step(const train::Step& step) {
  method_->after_step({step.features, seen_, step, *teacher_});
  seen_ = {};
}

}  // namespace limbeck::kd
