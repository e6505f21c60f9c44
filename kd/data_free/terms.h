// The loss terms of data-free distillation, as functions of what the networks say of made images.
// All but those that say otherwise are to be minimised by the generator, and differentiable in all
// their arguments: the teacher is frozen, yet gradients flow through it to the image.
//   t, s: logits [B, K] of teacher and student; KL means KL(softmax t || softmax s) per image
// Terms are scalars.
#pragma once
#include <vector>

#include "nn/batch_norm_tap.h"
#include "nn/models/registry.h"

namespace limbeck::kd::data_free {

using NormInputs = std::vector<nn::BatchNormTap::Input>;

// --- what the teacher says (the cross entropy with the requested class is cross_entropy) ---------

/// Mean cross entropy with the teacher's own class, a constant (DAFL's one-hot loss). Logits
/// [B, K]; a scalar.
Variable one_hot_loss(const Variable& t);
/// Negative entropy of the mean prediction, in nats: sum_k p_k log p_k (DAFL's information entropy;
/// its code takes log10, so its weight counts .4343 times here). Logits [B, K]; a scalar.
Variable class_balance(const Variable& t);
/// -mean |h|, h [B, d] the input of the teacher's last linear layer (DAFL). A scalar.
Variable activation_loss(const Variable& h);

/// Mean cross entropy of softmax(t / 20) with soft targets [B, K] (ZSKD). Logits [B, K]; a scalar.
Variable soft_target_loss(const Variable& t, const Tensor& targets);

// --- statistics of the teacher's batch norms -----------------------------------------------------

/// sqrt(sum d^2) of all elements, a scalar, with gradient 0 at 0.
Variable norm2(const Variable& d);
/// m and v (biased) of a layer's input over images and pixels, [C].
struct Moments {
  Variable mean, var;
};
/// Of every layer's input [B, H, W, C], in their order.
std::vector<Moments> moments_of(const NormInputs& inputs);
/// momentum old + (1 - momentum) now: moving averages over batches of made images (Fast). Throws
/// unless both are of the same number of layers.
std::vector<Moments> averaged(const std::vector<Moments>& old, const std::vector<Moments>& now,
                              double momentum);
/// Sum over the layers of |var_run - v| + |mean_run - m| (DeepInversion, CMI, DFQ, Fast). A
/// scalar. Throws without a layer: the teacher has no BatchNorm2d.
Variable statistics_norms(const NormInputs& inputs, const std::vector<Moments>& moments);
/// Mean over the layers of the mean squares of both differences (GDFQ). A scalar. Throws without a
/// layer.
Variable statistics_squares(const NormInputs& inputs, const std::vector<Moments>& moments);

// --- where student and teacher disagree ----------------------------------------------------------

/// Mean over the images of KL at temperature 1. Logits [B, K]; a scalar, like all that follow.
Variable divergence(const Variable& s, const Variable& t);
/// -mean |s - t| over images and classes (DFAD). Logits [B, K].
Variable adversarial_l1(const Variable& s, const Variable& t);
/// -divergence (DFQ); ZSKT divides by B K instead of B. Logits [B, K].
Variable adversarial_kl(const Variable& s, const Variable& t);
/// The same over the images of which both say the same class, over B (CMI, Fast). Logits [B, K].
Variable adversarial_decision(const Variable& s, const Variable& t);
/// 1 - JS at temperature 3, clamped as in the official code (ADI). Logits [B, K].
Variable adversarial_js(const Variable& s, const Variable& t);

// --- the image itself ----------------------------------------------------------------------------

/// Sum of four norms over the whole batch: of the differences of neighbours in a row, in a column
/// and on both diagonals (DeepInversion); images [N, H, W, C].
Variable total_variation(const Variable& images);
/// Sum of the four means of absolute differences (CMI's repository).
Variable total_variation_l1(const Variable& images);
/// One norm over the whole batch (DeepInversion on CIFAR).
inline Variable batch_norm2(const Variable& images) { return norm2(images); }
/// Mean over the images of their norms (on ImageNet).
Variable image_norms(const Variable& images);

/// CMI's contrast of a local view with a global one, rows [N + N', d], the first N current, the
/// others remembered: mean cross entropies of the rows of normalised local . global / tau to the
/// diagonal, of current and of remembered rows added. Gradient to `local` alone. Throws unless
/// `current` is among 1 to all rows.
Variable contrast(const Variable& local, const Variable& global, int64_t current, double tau);

// --- the student (soft targets are distillation_loss and l1_loss) --------------------------------

/// Cross entropy with the requested class over the images that the teacher gives it, and over their
/// number, at least 1. keep = false: over all of them. Logits [B, K], labels i64 [B]; a scalar.
Variable agreed_cross_entropy(const Variable& s, const Tensor& t, const Tensor& labels, bool keep);
/// Sum over the levels of mean (a_s - a_t)^2, a the normalised attention map, mean over channels of
/// f^2 (AT): of all maps between stem and pooled vector, aligned from the deepest backwards, the
/// larger averaged to the smaller's size. Throws naming the network that has none.
Variable attention_distance(const nn::Features& student, const nn::Features& teacher);

}  // namespace limbeck::kd::data_free
