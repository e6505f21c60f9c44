// Argument checks that operators share in `infer`. Each throws Error naming operator, argument,
// expected and found.
#pragma once
#include <limits>
#include <utility>
#include <vector>

#include "ops/op.h"

namespace limbeck {

/// Each throws naming the operator, the argument, expected and found. Of any shape.
inline void check_floating(const char* op, const char* name, const Tensor& t) {
  LIMBECK_CHECK(t.defined(), op, ": argument '", name, "' is missing");
  LIMBECK_CHECK(is_floating(t.dtype()), op, ": '", name, "' must be of a floating type, found ",
                describe(t));
}

/// The integers that operators compute with.
inline bool is_counting(DType type) { return type == DType::i32 || type == DType::i64; }

/// Of a floating type, or i32 or i64; of any shape. Throws as the first.
inline void check_number(const char* op, const char* name, const Tensor& t) {
  LIMBECK_CHECK(t.defined(), op, ": argument '", name, "' is missing");
  LIMBECK_CHECK(is_floating(t.dtype()) || is_counting(t.dtype()), op, ": '", name,
                "' must be of a floating type, i32 or i64, found ", describe(t));
}

/// Kernel::supports of a kernel of any shapes that leaves integers to another one. (A backward, of
/// floats always, may have saved no operand.)
inline bool without_integers(const Tensors& in, const Attrs&) {
  return !in[0] || is_floating(in[0].dtype());
}

/// Given (or, when optional, left out), of the type of `like`, and of this shape.
/// Throws as the first.
inline void check_shape(const char* op, const char* name, const Tensor& t, const Tensor& like,
                        const Shape& shape, bool optional = false) {
  if (optional && !t.defined()) return;
  LIMBECK_CHECK(t.defined(), op, ": argument '", name, "' is missing");
  LIMBECK_CHECK(t.dtype() == like.dtype() && t.shape() == shape, op, ": '", name, "' must be ",
                like.dtype(), shape, ", found ", describe(t));
}

/// Where sums over elements of type `t` are kept: f32 for bf16, otherwise the type itself.
/// Parameters and statistics have this type.
inline DType accumulation_type(DType t) { return t == DType::bf16 ? DType::f32 : t; }

/// A parameter or given statistic of an operator on `x`: given (or, when optional, left out), of
/// x's accumulation type, and of this shape.
/// Throws as the first.
inline void check_parameter(const char* op, const char* name, const Tensor& t, const Tensor& x,
                            const Shape& shape, bool optional = false) {
  if (optional && !t.defined()) return;
  const DType expected = accumulation_type(x.dtype());
  LIMBECK_CHECK(t.defined(), op, ": argument '", name, "' is missing");
  LIMBECK_CHECK(t.dtype() == expected && t.shape() == shape, op, ": '", name, "' must be ",
                expected, shape, ", found ", describe(t));
}

/// An image batch [N, H, W, C] of a floating type.
/// Throws as the first.
inline void check_image(const char* op, const char* name, const Tensor& t) {
  check_floating(op, name, t);
  LIMBECK_CHECK(t.rank() == 4, op, ": '", name, "' must be an image batch ", image_layout(),
                ", found ", describe(t));
}

/// Operands that one formula joins are of one type.
/// Of any shape. Throws as the first.
inline void check_type(const char* op, const char* name, const Tensor& t, const Tensor& like) {
  LIMBECK_CHECK(t.defined(), op, ": argument '", name, "' is missing");
  LIMBECK_CHECK(t.dtype() == like.dtype(), op, ": '", name, "' must be ", like.dtype(),
                " like the others, found ", describe(t));
}

/// The most that an attribute may ask for: sizes, steps and counts fit 31 bits, so that kernels
/// compute with a few of them without overflow.
inline constexpr int64_t largest_attribute = std::numeric_limits<int32_t>::max();

/// Throws unless `value` of the attribute is in [low, largest_attribute].
inline int64_t checked_size(const char* op, const char* name, int64_t value, int64_t low) {
  LIMBECK_CHECK(value >= low && value <= largest_attribute, op, ": attribute '", name,
                "' must be from ", low, " to ", largest_attribute, ", found ", value);
  return value;
}
inline int64_t size_attribute(const char* op, const Attrs& attrs, const char* name,
                              int64_t fallback, int64_t low) {
  return checked_size(op, name, attrs.integer(name, fallback), low);
}
inline std::pair<int64_t, int64_t> size_pair(const char* op, const Attrs& attrs, const char* name,
                                             int64_t fallback, int64_t low) {
  const auto [h, w] = attrs.pair(name, fallback);
  return {checked_size(op, name, h, low), checked_size(op, name, w, low)};
}

/// Attribute `axis` of an operator that has one, as a dimension of x.
/// Throws as the first.
inline int axis_attribute(const char* op, const Attrs& attrs, const Shape& x,
                          int64_t fallback = 0) {
  const int64_t axis = attrs.integer("axis", fallback);
  LIMBECK_CHECK(axis >= -x.rank() && axis < x.rank(), op, ": attribute 'axis' must be from ",
                -x.rank(), " to ", x.rank() - 1, " for ", x, ", found ", axis);
  return x.normalise(axis);
}

/// Throws unless attribute `axes` names dimensions of x, each once.
inline void check_axes(const char* op, const Attrs& attrs, const Shape& x) {
  std::vector<bool> seen(static_cast<size_t>(x.rank()), false);
  for (const int64_t axis : attrs.integers("axes")) {
    LIMBECK_CHECK(axis >= -x.rank() && axis < x.rank(), op, ": attribute 'axes' must be from ",
                  -x.rank(), " to ", x.rank() - 1, " for ", x, ", found ", axis);
    const auto d = static_cast<size_t>(x.normalise(axis));
    LIMBECK_CHECK(!seen[d], op, ": attribute 'axes' names dimension ", d, " of ", x, " twice");
    seen[d] = true;
  }
}

}  // namespace limbeck
