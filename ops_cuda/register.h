// Registers kernels of the device cuda.
#pragma once
#include <string>

#include "ops/op.h"

namespace limbeck::cuda {

/// Naive kernels are written for any floating type: registered for f32, and for f64, where gradients are checked.
struct RegisterNaive {
  RegisterNaive(const std::string& op, ForwardFn forward, BackwardFn backward = nullptr) {
    for (const DType dtype : {DType::f32, DType::f64})
      RegisterKernel({.op = op, .device = DeviceKind::cuda, .name = "cuda-naive", .dtype = dtype, .forward = forward, .backward = backward});
  }
};
/// A tuned kernel runs instead of the naive one where `supports` allows.
struct RegisterTuned {
  RegisterTuned(const std::string& op, ForwardFn forward, BackwardFn backward, bool (*supports)(const Tensors&, const Attrs&) = nullptr,
                DType dtype = DType::f32, const std::string& name = "cuda", int priority = 2) {
    RegisterKernel({.op = op, .device = DeviceKind::cuda, .name = name, .dtype = dtype, .forward = forward, .backward = backward,
                    .priority = priority, .supports = supports});
  }
};

}  // namespace limbeck::cuda
