// Which elements gather and scatter_add name, shared by the reference and the device kernels.
#pragma once
#include "ops/attrs.h"
#include "ops/broadcast.h"

namespace limbeck {

/// The place of element i of an index in x: along every dimension but `axis` where i stands itself,
/// along `axis` where the index says.
struct GatherPlaces {
  int axis = 0;
  Shape x, index;     // of the same rank: an index that lacks the axis has one element along it
  Strides strides{};  // of x, 0 along the axis
  int64_t step = 1;   // of x along the axis
  int64_t size() const { return x[axis]; }
};

/// Throws Error, in the operator's name, unless the index [..] has x's dimensions (or, with
/// `may_lack_axis`, all but the axis), none but the axis longer than x's.
GatherPlaces gather_places(const char* op, const Shape& x, const Shape& index, const Attrs& attrs,
                           bool may_lack_axis);

}  // namespace limbeck
