// TeacherStatistics: what a teacher's batch norms go by while it teaches. It was trained on other
// images than it sees now: standardised by other numbers, or fakes (Szatkowski et al., "Adapt your
// teacher: improving knowledge distillation for exemplar-free continual learning", WACV 2024; they
// have `adapt`, the other names are ours).
#pragma once
#include <string>

#include "nn/models/registry.h"
#include "train/extra_loss.h"

namespace limbeck::kd {

enum class TeacherStatistics {
  saved,  ///< "eval": those it was saved with
  batch,  ///< those of the batch; the saved ones stay
  adapt,  ///< those of the batch, and the saved ones follow with the layers' momentum
  refit   ///< those of the student's training images: averages over the batches of one pass
};
/// Throws with the four names.
TeacherStatistics parse_teacher_statistics(const std::string& name);

/// Whether a layer of it is a BatchNorm2d, so that statistics can be chosen.
bool has_batch_norm(nn::Network& network);

/// Puts a teacher that is in eval mode into the state wanted, once, before the training. Only batch
/// norms go to train mode: dropout stays off. The images of `refit` come shuffled, since a batch of
/// one class has statistics of its own, without augmentation, probe.batch at a time.
void apply_statistics(nn::Network& teacher, TeacherStatistics statistics,
                      const train::ExtraLoss::Probe& probe);

}  // namespace limbeck::kd
