// BatchNormTap: the inputs of the batch norms that a forward pass runs, with the statistics they
// have from training, e.g. for losses that make images look like those that a teacher was trained
// on. The inputs are Variables of the running pass, so gradients flow through them; the layers stay
// in the mode they are in.
//   BatchNormTap tap; network(images); for (const auto& in : tap.inputs()) ...
#pragma once
#include <vector>

#include "autograd/variable.h"

namespace limbeck::nn {

class BatchNormTap {
 public:
  struct Input {
    Variable x;                        ///< [N, H, W, C], before normalisation and activation
    Tensor running_mean, running_var;  ///< [C], of the layer; they share its memory
  };
  /// Collects the calls of this thread while alive. Taps nest; the innermost one collects.
  BatchNormTap();
  ~BatchNormTap();
  BatchNormTap(const BatchNormTap&) = delete;
  BatchNormTap& operator=(const BatchNormTap&) = delete;
  /// Of the BatchNorm2d layers, in the order in which they ran; norms of vectors are left out.
  const std::vector<Input>& inputs() const { return inputs_; }

  /// Called by the layers; does nothing when no tap is alive.
  static void note(const Variable& x, const Tensor& running_mean, const Tensor& running_var);

 private:
  std::vector<Input> inputs_;
  BatchNormTap* const outer_;
};

}  // namespace limbeck::nn
