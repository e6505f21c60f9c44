// Argument checks that operators share in `infer`. Each throws Error naming operator, argument,
// expected and found.
#pragma once
#include "ops/op.h"

namespace limbeck {

inline void check_floating(const char* op, const char* name, const Tensor& t) {
  LIMBECK_CHECK(t.defined(), op, ": argument '", name, "' is missing");
  LIMBECK_CHECK(is_floating(t.dtype()), op, ": '", name, "' must be of a floating type, found ",
                describe(t));
}

/// Given (or, when optional, left out), of the type of `like`, and of this shape.
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
inline void check_parameter(const char* op, const char* name, const Tensor& t, const Tensor& x,
                            const Shape& shape, bool optional = false) {
  if (optional && !t.defined()) return;
  const DType expected = accumulation_type(x.dtype());
  LIMBECK_CHECK(t.defined(), op, ": argument '", name, "' is missing");
  LIMBECK_CHECK(t.dtype() == expected && t.shape() == shape, op, ": '", name, "' must be ",
                expected, shape, ", found ", describe(t));
}

/// An image batch [N, H, W, C] of a floating type.
inline void check_image(const char* op, const char* name, const Tensor& t) {
  check_floating(op, name, t);
  LIMBECK_CHECK(t.rank() == 4, op, ": '", name, "' must be an image batch [N, H, W, C], found ",
                describe(t));
}

}  // namespace limbeck
