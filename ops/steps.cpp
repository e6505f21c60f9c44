#include "ops/steps.h"

#include <map>

namespace limbeck {
namespace {

std::map<std::pair<std::string, DeviceKind>, StepsFn>& steps_table() {
  static std::map<std::pair<std::string, DeviceKind>, StepsFn> table;
  return table;
}

/// The kernel for all of `each`, or null when they differ in type or device.
StepsFn find_steps(const Op& op, const std::vector<Tensors>& each, const Tensor& scalars) {
  const auto found = steps_table().find({op.name, scalars.device().kind});
  if (found == steps_table().end()) return nullptr;
  for (const Tensors& tensors : each)
    for (const Tensor& t : tensors)
      if (!t.defined() || t.dtype() != DType::f32 || t.device() != scalars.device()) return nullptr;
  return found->second;
}

}  // namespace

void run_steps(const Op& op, const std::vector<Tensors>& each, const Tensor& scalars,
               const Attrs& attrs) {
  const StepsFn steps = each.size() > 1 ? find_steps(op, each, scalars) : nullptr;
  const auto inputs = [&](const Tensors& tensors) {
    Tensors in = tensors;
    in.push_back(scalars);
    return in;
  };
  for (const Tensors& tensors : each)
    if (steps)
      op.infer(inputs(tensors), attrs);
    else
      run_forward(op, inputs(tensors), attrs);
  if (!steps) return;
  steps(each, scalars, attrs);
  for (const Tensors& tensors : each)
    for (const int i : op.mutated_inputs) tensors[static_cast<size_t>(i)].bump_version();
}

RegisterSteps::RegisterSteps(const std::string& op, DeviceKind device, StepsFn steps) {
  steps_table()[{op, device}] = steps;
}

}  // namespace limbeck
