// Where the pixels of a resized or mirrored image come from; shared by the reference and the device
// kernels.
#pragma once
#include <cstdint>

#include "tensor/host_device.h"

namespace limbeck {

/// Output o of `out` lies between inputs first and second of `size`, at `weight` from the first.
struct ResizeSource {
  int64_t first, second;
  double weight;
};
/// Pixels are squares: their centres are at 1/2. With `align_corners` they are points, the
/// outermost of which coincide.
LIMBECK_HD inline ResizeSource resize_source(int64_t o, int64_t size, int64_t out,
                                             bool align_corners) {
  double at = 0;
  if (align_corners)
    at = out > 1
             ? static_cast<double>(o) * static_cast<double>(size - 1) / static_cast<double>(out - 1)
             : 0;
  else
    at =
        (static_cast<double>(o) + 0.5) * static_cast<double>(size) / static_cast<double>(out) - 0.5;
  if (at < 0) at = 0;
  int64_t first = static_cast<int64_t>(at);
  if (first > size - 1) first = size - 1;
  return {first, first + 1 < size ? first + 1 : first, at - static_cast<double>(first)};
}

/// Position i of an axis of `size` points, mirrored at the first and the last; -size < i < 2 size -
/// 1.
LIMBECK_HD inline int64_t mirrored(int64_t i, int64_t size) {
  if (i < 0) i = -i;
  return i < size ? i : 2 * size - 2 - i;
}

}  // namespace limbeck
