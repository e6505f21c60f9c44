// In-place steps of many tensors: what an optimiser does after backward. A network has a hundred
// small parameters, and on a GPU each launch costs more than its elements; so a device may register
// a kernel that takes them all.
#pragma once
#include "ops/op.h"

namespace limbeck {

/// Runs an in-place operator (sgd_step, adam_step, ema_step) on each[i] followed by `scalars`, for
/// every i; throws what the operator throws. Versions of changed tensors are bumped. Same bits as
/// calling the operator for each entry.
void run_steps(const Op& op, const std::vector<Tensors>& each, const Tensor& scalars,
               const Attrs& attrs);

/// Serves entries that are all f32 and on one device of that kind. Empty tensors may be among them.
using StepsFn = void (*)(const std::vector<Tensors>& each, const Tensor& scalars,
                         const Attrs& attrs);
struct RegisterSteps {
  RegisterSteps(const std::string& op, DeviceKind device, StepsFn steps);
};

}  // namespace limbeck
