// Registers kernels of the device cuda. The registrars note the file that they stand in
// (Kernel::source): results on a GPU are kept with the hash of that file. Vendors' kernels are
// registered where they are called (matmul.cu, cudnn.cpp), with what they need (ops/op.h).
#pragma once
#include <string>
#include <utility>

#include "ops/op.h"

namespace limbeck::cuda {

/// The forward and backward of one kernel for one type.
struct Functions {
  ForwardFn forward = nullptr;
  BackwardFn backward = nullptr;
};

/// Naive kernels are written for any floating type, `template <class T> void f(const Call&)`:
/// registered for f32, and for f64, where gradients are checked.
///   const RegisterNaive where_op("where", LIMBECK_TYPES(where_forward, where_backward));
/// Types are named one by one, because nvcc takes no lambda as a template argument at namespace
/// scope, as the references use it.
struct RegisterNaive {
  RegisterNaive(const std::string& op, Functions f32, Functions f64,
                const char* source = __builtin_FILE()) {
    for (const auto& [dtype, f] : {std::pair(DType::f32, f32), std::pair(DType::f64, f64)})
      RegisterKernel({.op = op,
                      .device = DeviceKind::cuda,
                      .name = "cuda-naive",
                      .dtype = dtype,
                      .forward = f.forward,
                      .backward = f.backward},
                     source);
  }
  /// One pair that looks at the types itself (operators that move elements, comparisons).
  RegisterNaive(const std::string& op, Functions any, const char* source = __builtin_FILE())
      : RegisterNaive(op, any, any, source) {}
  RegisterNaive(const std::string& op, ForwardFn forward, BackwardFn backward = nullptr,
                const char* source = __builtin_FILE())
      : RegisterNaive(op, Functions{forward, backward}, source) {}
};
/// A tuned kernel runs where `supports` allows, in f32 instead of the naive one. In bf16 no naive
/// one stands behind it: the kernel of the lowest priority must serve every case.
struct RegisterTuned {
  RegisterTuned(const std::string& op, Functions f,
                bool (*supports)(const Tensors&, const Attrs&) = nullptr, DType dtype = DType::f32,
                const std::string& name = "cuda", int priority = 2,
                const char* source = __builtin_FILE()) {
    RegisterKernel({.op = op,
                    .device = DeviceKind::cuda,
                    .name = name,
                    .dtype = dtype,
                    .forward = f.forward,
                    .backward = f.backward,
                    .priority = priority,
                    .supports = supports},
                   source);
  }
  RegisterTuned(const std::string& op, ForwardFn forward, BackwardFn backward,
                bool (*supports)(const Tensors&, const Attrs&) = nullptr, DType dtype = DType::f32,
                const std::string& name = "cuda", int priority = 2,
                const char* source = __builtin_FILE())
      : RegisterTuned(op, Functions{forward, backward}, supports, dtype, name, priority, source) {}
};
/// The kernels of an element-wise function: naive for f32 and f64; for f32 and bf16 tuned ones,
/// where `supports` allows.
struct RegisterElementwise {
  RegisterElementwise(const std::string& op, Functions naive_f32, Functions naive_f64,
                      Functions tuned_f32, Functions tuned_bf16,
                      bool (*supports)(const Tensors&, const Attrs&) = nullptr,
                      const char* source = __builtin_FILE()) {
    RegisterNaive(op, naive_f32, naive_f64, source);
    RegisterTuned(op, tuned_f32, supports, DType::f32, "cuda", 2, source);
    RegisterTuned(op, tuned_bf16, supports, DType::bf16, "cuda", 2, source);
  }
};

}  // namespace limbeck::cuda

/// The arguments of RegisterNaive after the operator's name, out of two templates.
#define LIMBECK_TYPES(forward, backward) \
  {forward<float>, backward<float>}, { forward<double>, backward<double> }
