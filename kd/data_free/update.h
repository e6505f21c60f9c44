// The steps of data-free distillation: of the generator, of the student, or of both on the same
// images. What the loop (kd/data_free/trainer.h) runs; recorded where the device records.
#pragma once
#include "gan/data_free_generator.h"
#include "kd/data_free/settings.h"
#include "kd/data_free/targets.h"
#include "kd/data_free/terms.h"
#include "nn/images.h"
#include "nn/optim.h"
#include "nn/step_graph.h"

namespace limbeck::kd::data_free {

/// All on one device. The teacher is frozen and in eval mode, with its standardisation in the
/// generator.
struct Networks {
  nn::Network& teacher;
  nn::Network& student;
  gan::DataFreeGenerator& generator;
};

/// What the generator's loss is made of, for one batch of images as the teacher sees them.
struct MadeImages {
  Variable images;
  Tensor labels;        ///< requested: classes i64 [B], or responses f32 [B, 1] in [0, 1]
  Tensor targets = {};  ///< f32 [B, K], soft ones in their place; undefined: none
};
/// The sum and, for the log, its statistics term (0 where there is none); what the teacher said of
/// the images, and the statistics that were judged.
struct GeneratorLoss {
  Variable total;
  Tensor statistics;
  nn::Features teacher;
  NormInputs norms;
  std::vector<Moments> moments;  ///< empty without a statistics term
};
/// What changes from step to step.
struct LossConditions {
  Variable adversarial = {};           ///< weight of the adversary, a number on the device;
                                       ///< undefined: that of the settings
  std::vector<Moments> averages = {};  ///< of statistics_norms, with its momentum; empty: none
  double momentum = 0;
};
/// `student` may be null where no adversary needs it. Throws where one does, for an adversary of
/// another name, and for a statistics term on a teacher without BatchNorm2d.
GeneratorLoss generator_loss(const GeneratorLossSettings& settings, nn::Network& teacher,
                             nn::Network* student, const MadeImages& made,
                             const LossConditions& conditions = {});
/// The weighted sum of the student's terms, a scalar. Logits [B, K] and labels i64 [B] as
/// requested, or both responses [B, 1], whose cross entropy is mean |s - y|; no gradient to the
/// teacher.
Variable student_loss(const StudentLossSettings& settings, const nn::Features& student,
                      const nn::Features& teacher, const Tensor& labels);

/// Whether labels are responses [B, 1] and not classes [B].
inline bool are_responses(const Tensor& labels) { return labels.dtype() != DType::i64; }
/// What a generator is asked: classes i64 [B], with targets f32 [B, K] their mixture, or responses
/// [B, 1].
gan::Condition condition_of(const Tensor& labels, const Tensor& targets);
/// Soft targets where the settings say so.
std::optional<DirichletTargets> targets_of(const GeneratorLossSettings& settings,
                                           const nn::Network& teacher, int64_t classes);

class Update {
 public:
  /// Networks and settings outlive this. 0 classes: the teacher regresses.
  Update(const Networks& networks, const Settings& settings, int64_t classes);

  /// One step; noise and classes are drawn within it from `images`. Results lie on the device and
  /// are overwritten by the next call.
  /// loss, statistics term (0: none), both [].
  Tensors generator(const Stream& images, const Stream& dropout, double adversarial);
  /// loss, share of images that get the requested class, entropy of the teacher's predictions,
  /// share on which the student agrees, all []; how the teacher's classes are distributed [K].
  /// Of responses: loss, mean |t - y|, mean |s - t|, all []. With a pool then the images as the
  /// teacher sees them and their labels, which are to be kept.
  Tensors student(const Stream& images, const Stream& dropout);
  /// The student's step on images that are there, u8 [B, H, W, C] with draws (data::ByteBatch).
  Tensors student_on(const Tensor& images, const Tensor& draws, const Tensor& labels,
                     const Stream& dropout);
  /// On both: settings.pooled() that are there, the rest of the batch drawn; only these are
  /// returned behind the numbers.
  Tensors student_beside(const Stream& images, const Tensor& pooled, const Tensor& draws,
                         const Tensor& labels, const Stream& dropout);
  /// What generator() returns, then what student() returns.
  Tensors joint(const Stream& images, const Stream& dropout, double adversarial);

  nn::Adam& generator_optimizer() { return generator_optimizer_; }
  nn::Optimizer& student_optimizer() { return *student_optimizer_; }

 private:
  struct Drawn {
    Tensor z, labels, targets;
  };
  Drawn draw(const Tensors& inputs, int64_t images) const;
  Tensor draw_labels(const Tensor& place, int64_t images) const;
  MadeImages make(const Drawn& drawn) const;
  Tensors inputs(const Stream& images, double adversarial, int64_t count) const;
  MadeImages images_for_student(const Tensors& inputs, int64_t count) const;
  Tensors update_generator(const Tensors& inputs);
  Tensors update_student(const Tensors& inputs);
  Tensors update_joint(const Tensors& inputs);
  Tensors update_student_on(const Tensors& inputs);
  Tensors update_student_beside(const Tensors& inputs);
  Tensors learn(const MadeImages& made);
  void step_generator();
  void step_student();
  Tensors described(const Variable& loss, const Variable& teacher, const Variable& student,
                    const Tensor& labels) const;

  const Networks n_;
  const Settings& s_;
  const int64_t classes_;
  const std::optional<DirichletTargets> targets_;
  nn::Adam generator_optimizer_;
  std::unique_ptr<nn::Optimizer> student_optimizer_;
  const nn::ImageStandardiser standardise_;
  nn::StepGraph generator_graph_, student_graph_, joint_graph_, student_on_graph_,
      student_beside_graph_;
};

}  // namespace limbeck::kd::data_free
