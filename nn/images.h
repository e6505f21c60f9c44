// Bytes of a batch to what a network sees, on the network's device: the other half of what a data
// loader does (tensor/image_bytes.h).
#pragma once
#include <vector>

#include "tensor/tensor.h"

namespace limbeck::nn {

/// Holds mean and deviation of the channels on the device. Usable in a recorded step (StepGraph),
/// if made before it.
class ImageStandardiser {
 public:
  /// Throws for a deviation that is not positive.
  ImageStandardiser(const std::vector<double>& mean, const std::vector<double>& deviation,
                    Device device);
  /// images u8 [N,H,W,C], draws i32 [N,3] (crop corner, flip) or undefined for neither, both there
  /// -> f32 [N,H,W,C], by the operator crop_flip_normalize. Images that are f32 already come back
  /// as they are.
  Tensor operator()(const Tensor& images, const Tensor& draws = {}) const;

 private:
  Tensor mean_, deviation_;
};

}  // namespace limbeck::nn
