// Shapes of reductions.
#pragma once
#include "ops/attrs.h"
#include "tensor/shape.h"

namespace limbeck {

/// x's shape with size 1 along the reduced axes (attribute `axes`; empty: all).
Shape kept_shape(const Shape& x, const Attrs& attrs);

}  // namespace limbeck
