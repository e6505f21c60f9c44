// Short ways to write an operator's cases.
#pragma once
#include "ops/op.h"

namespace limbeck {

/// Floating values, uniform in [low, high).
inline CaseInput values(const Shape& shape, double low = -1, double high = 1) { return {shape, low, high, DType::f32, true}; }
/// i64 indices in [0, below).
inline CaseInput indices(const Shape& shape, int64_t below) { return {shape, 0, static_cast<double>(below), DType::i64, true}; }
/// A case too big for central differences; forward and backward are still compared between implementations.
inline OpCase big_case(std::vector<CaseInput> inputs, Attrs attrs = {}) { return {std::move(inputs), std::move(attrs), false}; }

}  // namespace limbeck
