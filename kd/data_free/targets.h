// Soft targets near to a class (ZSKD, Nayak et al. 2019, "Zero-shot knowledge distillation in deep
// networks"): a class looks to the teacher like those whose rows of its last layer point the same
// way, and a target is a draw from a Dirichlet distribution with these similarities.
#pragma once
#include "nn/models/registry.h"
#include "tensor/random.h"

namespace limbeck::kd::data_free {

/// The matrix [classes, d] behind a network's logits, on the CPU: the last parameter of that many
/// rows. Throws where there is none.
Tensor last_weight(const nn::Network& network, int64_t classes);

/// Cosine similarities of the rows of a matrix [K, d]; f64 [K, K].
Tensor class_similarities(const Tensor& weight);

/// alpha_c = beta (row c of the similarities, scaled to [0, 1]) + 1e-4; f64 [K, K]. The original
/// scales the whole matrix first, which changes nothing. Throws naming a class that is equally like
/// all.
Tensor concentrations(const Tensor& similarities, double beta);

class DirichletTargets {
 public:
  /// Throws as the functions above.
  explicit DirichletTargets(const Tensor& last_weight);
  /// f32 [n, K], rows of sum 1: a class drawn evenly, beta = 1 or .1, and a target. Row i depends
  /// on the stream and i only.
  Tensor draw(int64_t n, const Stream& stream) const;

 private:
  Tensors concentrations_;  // for each beta
};

/// The logarithm of a draw from Gamma(alpha, 1), alpha > 0 (Marsaglia and Tsang 2000): with an
/// alpha of 1e-4 the draw itself is too small for a number.
double log_gamma_draw(double alpha, Stream& stream);

}  // namespace limbeck::kd::data_free
