// Distillation: a method and its teacher, or what a teacher said before, as the extra loss of a
// supervised training.
#pragma once
#include <memory>

#include "kd/checkpoint.h"
#include "kd/method.h"
#include "kd/teacher_statistics.h"

namespace limbeck::kd {

class Distillation : public train::ExtraLoss {
 public:
  using DirectoryOf = std::function<std::string(const std::string& preparation)>;
  /// The teacher lives on the student's device. `name` is of the method, for messages.
  Distillation(std::string name, std::unique_ptr<Method> method,
               std::unique_ptr<nn::Network> teacher, nn::Task task, DirectoryOf directory_of = {});
  /// The teacher's logits come with the batches (kd/stored_logits.h); of classes, and for methods
  /// that see nothing else.
  /// Throws without any.
  Distillation(std::string name, std::unique_ptr<Method> method, data::ReplayedViews stored);

  /// Lets the teacher see the views that stored logits are of, for comparison. Before prepare().
  void replay(data::ReplayedViews views) { replayed_ = std::move(views); }
  /// Rows of the training set from this one on are fakes; none without it. Before prepare().
  void fakes_begin_at(int64_t row) { first_fake_ = row; }
  data::ReplayedViews replayed() const override { return replayed_; }
  bool preact() const override { return method_->preact(); }
  bool input_gradients() const override { return method_->input_gradients(); }
  data::Views views() const override { return method_->views(); }
  bool drop_last() const override { return method_->drop_last(); }
  /// What prepare() refuses without looking at files of preparations.
  void check(const Probe& probe);
  void prepare(const Probe& probe) override;
  nn::Module* auxiliary() override { return method_->auxiliary(); }
  std::vector<nn::Module*> others() override;
  nn::Module* moving() override;
  double hard_weight() const override { return weights_.hard_weight; }
  Variable loss(const train::Step& step) override;
  Tensor prediction(const train::Step& step) override;
  void after_step(const train::Step& step) override;
  void finish(nn::Network& student) override { method_->finish(student); }
  nn::Network& deployed(nn::Network& student) override { return method_->deployed(student); }
  nn::Network& teacher() { return *teacher_; }
  /// Its state before prepare() and the training moved its statistics; empty when they do not.
  const TensorFile& teacher_before() const { return teacher_before_; }
  /// prepare() will load the auxiliary modules from this file.
  void begin_with(std::string auxiliary_file) { auxiliary_file_ = std::move(auxiliary_file); }

 private:
  Pair pair_of(const Probe& probe, const nn::Features& teacher) const;
  nn::Features see(const Variable& images, const Tensor& stored);
  nn::Features see(const Probe& probe);
  bool is_stored() const { return replayed_.outputs.defined(); }

  const std::string name_;
  std::unique_ptr<Method> method_;
  std::unique_ptr<nn::Network> teacher_;
  LossWeights weights_;
  TeacherStatistics statistics_;
  TensorFile teacher_before_;
  DirectoryOf directory_of_;
  data::ReplayedViews replayed_;
  std::string auxiliary_file_;
  int64_t first_fake_ = std::numeric_limits<int64_t>::max();
  nn::Features seen_;  // of the teacher in the step in work
  Variable images_;    // that it saw
};

}  // namespace limbeck::kd
