// An operator called by its name: its result, or its refusal.
#pragma once
#include "ops/op.h"
#include "tests/ops_cuda/errors.h"

namespace limbeck {

inline Tensor run(std::string_view name, const Tensors& in, const Attrs& attrs = {}) {
  return run_forward(find_op(name), in, attrs)[0];
}
inline std::string refusal(std::string_view name, const Tensors& in, const Attrs& attrs = {}) {
  return error_of([&] { run(name, in, attrs); });
}

}  // namespace limbeck
