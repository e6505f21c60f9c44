// What the losses of several methods have in common.
#pragma once
#include "kd/method.h"

namespace limbeck::kd {

/// Logits [N, C] as soft terms see them: over the temperature, and standardised before when the
/// weights say so.
///   standardise: z <- (z - mean_c z) / (1e-7 + deviation_c z), the deviation unbiased (Sun et al.
///   2024, "Logit standardization in knowledge distillation", Eq. 12 and the official code, which
///   then takes T = 2 and multiplies a method's soft terms by 9)
Variable softened(const Variable& logits, const LossWeights& weights);

/// T^2 KL(softmax(t) || softmax(s)) of softened logits, batch mean; no gradient to the teacher.
/// Logits [N, C]; a scalar.
Variable soft_loss(const Variable& student, const Variable& teacher, const LossWeights& weights);

/// min(1, (epoch + first) / epochs), a number on the device: the epoch of a recorded step is that
/// of the running one. `like` gives the type; first = 1 counts epochs from 1.
/// A scalar.
Variable ramp(const train::Step& step, double epochs, double first, const Variable& like);

/// The identity [n, n] like `t`: its rows are one-hot vectors, index_select makes them of labels.
Tensor identity(int64_t n, const Tensor& t);

/// Pearson's correlation of the vectors of a and b, of one shape, along `axis`, which the result
/// lacks; of a constant vector it is 0, and so is its gradient.
///   <a - mean a, b - mean b> / (|a - mean a| |b - mean b| + 1e-8)
Variable correlation(const Variable& a, const Variable& b, int64_t axis);

/// Throws with the method's name unless both networks have the same class logits.
void check_class_logits(const std::string& method, const Pair& pair);

/// L2 over the last axis as the official contrastive heads have it: no epsilon.
/// x [N, d].
Variable unit_rows(const Variable& x);

}  // namespace limbeck::kd
