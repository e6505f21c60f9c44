// Images of any size brought to one size, for data.resize.
#pragma once
#include <string>

#include "tensor/tensor.h"

namespace limbeck::data {

enum class Resize {
  none,     ///< sizes stay as they are
  stretch,  ///< both sides scaled, whatever that does to the aspect ratio
  crop,     ///< the middle square, scaled
  fit,      ///< the whole image, scaled, in a black frame
};

/// "", "stretch", "crop" or "fit"; throws naming data.resize for anything else.
Resize parse_resize(const std::string& text);

/// u8 [H, W, C] -> u8 [size, size, C]. A side that shrinks is averaged over the area of each new
/// pixel, one that grows is interpolated linearly; the result is rounded to the nearest byte. `how`
/// is not `none`.
Tensor resize_image(const Tensor& image, int64_t size, Resize how);

/// The same for every image of u8 [N, H, W, C], in parallel.
/// Throws unless it is such a batch.
Tensor resize_images(const Tensor& images, int64_t size, Resize how);

/// u8 [N, H, W, C] in the middle of a black [N, size, size, C]; an odd rest goes to the bottom and
/// right. `size` is not smaller than H and W.
Tensor pad_images(const Tensor& images, int64_t size);

}  // namespace limbeck::data
