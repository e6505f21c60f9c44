// Views of made images, differentiable: what the teacher judges instead of the image itself, so
// that it holds wherever the image lies.
#pragma once
#include <vector>

#include "autograd/variable.h"
#include "tensor/random.h"

namespace limbeck::kd::data_free {

struct ViewSettings {
  int64_t crop_padding = 0, roll = 0;
  bool flip = false;
};

/// A square part of the images, the same for a batch, of 1/4 to all of their area, resized to their
/// size; drawn from the stream on the host, so no step with it is recorded.
Variable local_view(const Variable& images, const Stream& stream);

class Views {
 public:
  /// `black`: a black pixel of every channel as the teacher sees it, which a crop shows outside of
  /// the image.
  Views(const ViewSettings& settings, const std::vector<double>& black, Device device);
  /// What a view of a batch is drawn from, small and on the host: inputs of operator().
  Tensors draw(const Stream& stream, int64_t images, int64_t side) const;
  /// images [B, S, S, C] and draw()'s tensors on their device.
  Variable operator()(const Variable& images, const Tensors& drawn) const;

 private:
  const ViewSettings s_;
  Tensor black_;
};

}  // namespace limbeck::kd::data_free
