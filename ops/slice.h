// The range of the operator slice.
#pragma once
#include "ops/attrs.h"
#include "tensor/shape.h"

namespace limbeck {

/// Elements [begin, end) along `axis`, from the attributes axis, begin, end (negative ones count
/// from the end). Throws when out of range.
struct SliceRange {
  int axis;
  int64_t begin, end;
};
/// The checked attributes {axis, begin, end}; throws naming the attribute.
SliceRange slice_range(const Shape& x, const Attrs& attrs);

}  // namespace limbeck
