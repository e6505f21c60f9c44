// Animations as APNG, which browsers play; what knows PNG only shows the first picture.
#pragma once
#include <vector>

#include "tensor/tensor.h"

namespace limbeck::data {

/// Frames u8 [H, W, 1 or 3], all of one shape, each shown for `seconds`, for ever: a PNG with the
/// chunks acTL, fcTL and fdAT (PNG specification, third edition, section 11.3.6). Throws Error
/// naming the path.
void write_apng(const std::string& path, const std::vector<Tensor>& frames, double seconds);

}  // namespace limbeck::data
