// Pointers to tensors that may be missing, and registration of kernels written as templates
// `template <class T> void f(const Call&)`.
#pragma once
#include "ops_cuda/launch.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {

/// Null for an undefined tensor (an optional input, an unwanted gradient).
template <class T>
T* optional_data(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}

/// A temporary on the device of `like`; may be released while kernels that use it are still queued.
template <class T>
Tensor workspace(const Tensor& like, const Shape& shape) {
  return Tensor::empty(shape, dtype_of<T>, like.device());
}

/// Naive kernels are templates `template <class T> void forward(const ForwardCall&)`; named here
/// one type at a time, because nvcc takes no lambda as a template argument at namespace scope.
struct RegisterTypes {
  RegisterTypes(const char* op, ForwardFn forward_f32, ForwardFn forward_f64,
                BackwardFn backward_f32 = nullptr, BackwardFn backward_f64 = nullptr,
                const char* source = __builtin_FILE()) {
    RegisterKernel({.op = op,
                    .device = DeviceKind::cuda,
                    .name = "cuda-naive",
                    .dtype = DType::f32,
                    .forward = forward_f32,
                    .backward = backward_f32},
                   source);
    RegisterKernel({.op = op,
                    .device = DeviceKind::cuda,
                    .name = "cuda-naive",
                    .dtype = DType::f64,
                    .forward = forward_f64,
                    .backward = backward_f64},
                   source);
  }
};

}  // namespace limbeck::cuda

/// The arguments of RegisterTypes after the operator's name.
#define LIMBECK_TYPES(forward, backward) \
  forward<float>, forward<double>, backward<float>, backward<double>
