#include "autograd/autocast.h"

#include <algorithm>

#include "ops/execution.h"

namespace limbeck {
namespace {

bool floating(const Variable& v) { return v.defined() && is_floating(v.dtype()); }
const OpInput& input_of(const Op& op, size_t i) {
  return op.inputs[std::min(i, op.inputs.size() - 1)];
}

/// Whether all data is bf16 and the device has a kernel for it.
bool runs_in_bf16(const Op& op, const Variables& inputs) {
  Device device;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!floating(inputs[i]) || input_of(op, i).parameter) continue;
    if (inputs[i].dtype() != DType::bf16) return false;
    device = inputs[i].data().device();
  }
  return has_kernel(op, DType::bf16, device.kind);
}

}  // namespace

Variable cast(const Variable& x, DType type) {
  LIMBECK_CHECK(is_floating(x.dtype()) && is_floating(type),
                "cast: expected floating types, found ", x.dtype(), " to ", type);
  const DType from = x.dtype();
  if (from == type) return x;
  return record("cast", {x}, x.data().to(type),
                [from](const Tensor& dout) { return Tensors{dout.to(from)}; });
}

Variable as_activation(const Variable& x) {
  return x.dtype() == DType::f32 ? cast(x, execution().activations) : x;
}

Variable from_activation(const Variable& x) {
  return x.dtype() == DType::bf16 ? cast(x, DType::f32) : x;
}

std::optional<Variables> with_agreed_types(const Op& op, const Variables& inputs) {
  if (std::none_of(inputs.begin(), inputs.end(),
                   [](const Variable& v) { return floating(v) && v.dtype() == DType::bf16; }))
    return {};
  const bool in_bf16 = runs_in_bf16(op, inputs);
  Variables agreed = inputs;
  bool changed = false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!floating(inputs[i]) || inputs[i].dtype() != DType::bf16 ||
        (in_bf16 && !input_of(op, i).parameter))
      continue;
    agreed[i] = cast(inputs[i], DType::f32);
    changed = true;
  }
  return changed ? std::optional(std::move(agreed)) : std::nullopt;
}

}  // namespace limbeck
