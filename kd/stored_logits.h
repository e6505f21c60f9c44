// Stored logits: what a teacher said of augmented views of the training images, once, in the place
// of the teacher in every epoch (the idea of Shen and Xing, "A fast knowledge distillation
// framework for visual recognition", ECCV 2022, and of Wu et al., "TinyViT", ECCV 2022: store the
// seed of an augmentation beside the logits and draw it again). docs/workflow.md describes the
// file.
#pragma once
#include <string>

#include "kd/checkpoint.h"
#include "kd/method.h"
#include "nn/monitor.h"

namespace limbeck::kd {

struct StoredLogits {
  std::string network;       ///< the teacher, in the model registry
  nn::ModelOptions options;  ///< of the teacher
  std::string data;          ///< the [data] settings of which the images came
  data::Standardisation standardisation;
  data::Augmentation augmentation;
  data::ReplayedViews views;  ///< outputs f32 [views, N, outputs] on the host
  Tensor images;              ///< u8 [N, H, W, C]
  Tensor labels;              ///< i64 [N]
};

/// The logits of `teacher`, in eval mode on its device, for `count` views of every training image,
/// `batch` images at a time. Resumes when the monitor has a state.
Tensor logits_of_views(nn::Network& teacher, const data::Dataset& train,
                       const data::Standardisation& standardisation,
                       const data::Augmentation& augmentation, const data::ReplayedViews& views,
                       int64_t batch, nn::Monitor& monitor);

/// The container layout of a data set (data/arrays.h) with `logits` f32 [views, N, outputs] and the
/// rest as metadata: the file can stand for the data, too.
void save_logits(const std::string& path, const StoredLogits& logits, const data::Split& split);
/// Throws naming the file for what is missing or does not fit.
StoredLogits load_logits(const std::string& path);

/// Throws naming `path` unless the logits are of these images in this order, standardised and
/// augmented in this way.
void check_fits(const StoredLogits& logits, const std::string& path, const data::Dataset& train,
                const data::Standardisation& standardisation,
                const data::Augmentation& augmentation);

/// Whether logits are all that a method asks of the pair's own teacher.
bool serves_with_stored_logits(const MethodEntry& entry, const NamedSettings& settings);
/// The names of those that do, for messages.
std::string methods_on_stored_logits(const NamedSettings& settings);

}  // namespace limbeck::kd
