// DiffAugment (Zhao et al. 2020) for what a discriminator sees, real and fake alike. The random
// numbers are drawn apart from the operator that applies them (ops/diffaugment.cpp has the
// formulas), so a step can be repeated exactly.
#pragma once
#include <string>

#include "autograd/variable.h"
#include "tensor/random.h"

namespace limbeck::gan {

/// Throws naming the key for a policy that DiffAugment does not know.
void check_policy(const std::string& policy, const std::string& key);

class DiffAugment {
 public:
  /// `policy` is a comma-separated subset of color, translation, cutout, applied in this order;
  /// blanks around the names do not matter; empty: identity. Throws on other names.
  explicit DiffAugment(const std::string& policy);
  bool identity() const { return !color_ && !translation_ && !cutout_; }

  /// Parameters [n, 7] of n images, independent per image: brightness U - 1/2, saturation 2U,
  /// contrast U + 1/2; shifts uniform on
  /// -s..s with s = int(side / 8 + 1/2); cut centre uniform on 0..side for an even square
  ///   (0..side-1 for an odd one).
  /// f32, from a place i64 [2] (tensor/random.h) on the place's device; undefined for the identity.
  Tensor draw(int64_t n, int64_t height, int64_t width, const Tensor& place) const;
  /// x [N,H,W,C] in [-1, 1] (not clamped afterwards); parameters from draw(), f64 where x is.
  Variable apply(const Variable& x, const Tensor& parameters) const;
  Variable operator()(const Variable& x, const Stream& stream) const;

 private:
  bool color_ = false, translation_ = false, cutout_ = false;
};

}  // namespace limbeck::gan
