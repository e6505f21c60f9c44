// Pointers to tensors that may be missing, and temporaries.
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

}  // namespace limbeck::cuda
