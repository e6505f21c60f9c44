// Numerical slopes, for every check of a gradient.
#pragma once
#include <functional>

#include "tensor/tensor.h"

namespace limbeck {

/// Slope at x of the sum of <cotangent, output>, by central differences with a step scaled by
/// max(1, |x|). `outputs` computes f64 outputs on the CPU for the x of the moment; those with an
/// undefined cotangent do not count. x gets its value back.
/// Outputs have the shapes of the cotangents.
double central_difference(double& x, double step, const std::vector<Tensor>& cotangents,
                          const std::function<std::vector<Tensor>()>& outputs);

}  // namespace limbeck
