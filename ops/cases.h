// The cases of an operator: short ways to write them, and the inputs drawn for them.
#pragma once
#include <algorithm>

#include "ops/op.h"

namespace limbeck {

/// Floating values, uniform in [low, high).
inline CaseInput values(const Shape& shape, double low = -1, double high = 1) {
  return {shape, low, high, DType::f32, true};
}
/// i64 indices in [0, below).
inline CaseInput indices(const Shape& shape, int64_t below) {
  return {shape, 0, static_cast<double>(below), DType::i64, true};
}
/// A case too big for central differences; forward and backward are still compared between
/// implementations.
inline OpCase big_case(std::vector<CaseInput> inputs, Attrs attrs = {}) {
  return {std::move(inputs), std::move(attrs), false};
}

/// The tensors of a case: floating ones of type `floating`, all representable in f32, at least 0.02
/// away from the operator's kinks and, where it says so, all distinct. The same (operator, case,
/// seed) gives the same numbers. With `floating` bf16, parameters are f32.
Tensors case_inputs(const Op& op, const OpCase& c, DType floating, uint64_t seed = 0);
/// The same numbers in f64.
Tensors widened(const Tensors& inputs);

/// "x f[2, 5, 6, 3], w f[4, 3, 3, 3], b none; padding=1": names a case in reports.
std::string describe(const Op& op, const OpCase& c);

/// Input i of an operator, the repeated one of a variadic operator included.
inline const OpInput& input_of(const Op& op, size_t i) {
  return op.inputs[std::min(i, op.inputs.size() - 1)];
}
/// "x", or "xs.2" for the repeated input of a variadic operator.
std::string input_name(const Op& op, size_t i);

}  // namespace limbeck
