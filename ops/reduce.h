// Shapes of reductions.
#pragma once
#include <limits>

#include "ops/attrs.h"
#include "tensor/shape.h"

namespace limbeck {

/// Where the search for the largest (sign 1) or smallest (-1) element begins.
template <class T>
constexpr T farthest(int sign) {
  using Limits = std::numeric_limits<T>;
  if (Limits::has_infinity) return sign > 0 ? -Limits::infinity() : Limits::infinity();
  return sign > 0 ? Limits::lowest() : Limits::max();
}

/// x's shape with size 1 along the reduced axes (attribute `axes`; empty: all).
Shape kept_shape(const Shape& x, const Attrs& attrs);

}  // namespace limbeck
