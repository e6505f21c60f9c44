#include "kd/distillation.h"

#include "kd/terms.h"

namespace limbeck::kd {
namespace {

/// In the place of a teacher whose logits are stored.
class AbsentTeacher : public nn::Network {
 public:
  nn::Features forward_features(const Variable&, bool) override {
    fail("the teacher is not there: a method asked it for more than its stored logits");
  }
};

}  // namespace

Distillation::Distillation(std::string name, std::unique_ptr<Method> method,
                           std::unique_ptr<nn::Network> teacher, nn::Task task,
                           DirectoryOf directory_of)
    : name_(std::move(name)),
      method_(std::move(method)),
      teacher_(std::move(teacher)),
      weights_(method_->weights()),
      statistics_(parse_teacher_statistics(weights_.teacher_bn)),
      directory_of_(std::move(directory_of)) {
  if (task == nn::Task::regression) weights_.soft_weight = 0;  // a response is no distribution
  teacher_->set_requires_grad(false);
  teacher_->eval();
}

Distillation::Distillation(std::string name, std::unique_ptr<Method> method,
                           data::ReplayedViews stored)
    : Distillation(std::move(name), std::move(method), std::make_unique<AbsentTeacher>(),
                   nn::Task::classification) {
  LIMBECK_CHECK(stored.outputs.defined(), name_, ": no stored logits");
  replayed_ = std::move(stored);
}

Pair Distillation::pair_of(const Probe& probe, const nn::Features& teacher) const {
  return {probe.network, *teacher_,   probe.features,       teacher,
          probe.train,   probe.init,  probe.batch,          directory_of_,
          probe.epochs,  first_fake_, probe.standardisation};
}

/// Of stored logits there is nothing to see but themselves.
nn::Features Distillation::see(const Variable& images, const Tensor& stored) {
  if (is_stored()) return {{}, Variable(stored), {}};
  const GradMode gradients(images.requires_grad());
  return teacher_->forward_features(images, method_->teacher_preact());
}

nn::Features Distillation::see(const Probe& probe) {
  Tensor stored;
  if (is_stored())  // the probe's images are the first ones
    stored = replayed_.outputs.rows(0, 1)
                 .reshape({replayed_.outputs.size(1), replayed_.outputs.size(2)})
                 .rows(0, probe.images.size(0))
                 .to(probe.network.device());
  return see(probe.images, stored);
}

std::vector<nn::Module*> Distillation::others() {
  if (is_stored()) return {};
  return {teacher_.get()};
}

nn::Module* Distillation::moving() {
  return statistics_ == TeacherStatistics::adapt ? teacher_.get() : nullptr;
}

void Distillation::check(const Probe& probe) {
  if (statistics_ != TeacherStatistics::saved) {
    LIMBECK_CHECK(!method_->teacher_in_train_mode(), name_, ": its teacher is in train mode anyway",
                  "; expected methods.", name_, ".teacher_bn = \"eval\"");
    LIMBECK_CHECK(has_batch_norm(*teacher_), name_, ": methods.", name_,
                  ".teacher_bn: the teacher has no batch norm");
  }
  teacher_->eval();
  const nn::Features teacher = see(probe);
  LIMBECK_CHECK(
      weights_.soft_weight == 0 || probe.features.output.shape() == teacher.output.shape(), name_,
      ": the student's output ", probe.features.output.shape(), " does not match the teacher's ",
      teacher.output.shape());
  method_->check(pair_of(probe, teacher));
}

void Distillation::prepare(const Probe& probe) {
  if (is_stored()) {
    check(probe);
    return method_->prepare(pair_of(probe, see(probe)));
  }
  if (std::unique_ptr<nn::Network> other =
          method_->other_teacher(directory_of_, teacher_->device())) {
    teacher_ = std::move(other);
    teacher_->set_requires_grad(false);
  }
  check(probe);
  const nn::Features teacher = see(probe);
  method_->prepare(pair_of(probe, teacher));
  if (!auxiliary_file_.empty())
    method_->auxiliary()->load_state_dict(read_safetensors(auxiliary_file_), auxiliary_file_);
  teacher_->train(method_->teacher_in_train_mode());
  if (statistics_ == TeacherStatistics::adapt || statistics_ == TeacherStatistics::refit)
    teacher_before_ = teacher_->state_dict();
  apply_statistics(*teacher_, statistics_, probe);
}

Variable Distillation::loss(const train::Step& step) {
  images_ = Variable(step.batch.images, method_->input_gradients());
  seen_ = see(images_, step.batch.outputs);
  Variable total;
  if (weights_.soft_weight > 0)
    total = soft_loss(step.features.output, seen_.output, weights_) * weights_.soft_weight;
  const Variable own = method_->loss({step.features, seen_, step, *teacher_, images_});
  if (!own.defined()) {
    LIMBECK_CHECK(total.defined() || method_->teaches_without_term(), name_,
                  ": has no term for this task");
    return total;  // undefined where the method's teaching is elsewhere
  }
  return total.defined() ? total + own : own;
}

Tensor Distillation::prediction(const train::Step& step) {
  return method_->prediction({step.features, seen_, step, *teacher_, images_});
}

void Distillation::after_step(const train::Step& step) {
  method_->after_step({step.features, seen_, step, *teacher_, images_});
  seen_ = {}, images_ = {};
}

}  // namespace limbeck::kd
