// Kernels that only move elements care about their size, not their type.
#pragma once
#include "ops_cuda/launch.h"

namespace limbeck::cuda {

/// Calls f(W{}) with the unsigned integer of an element's size.
template <class F>
void dispatch_words(DType dtype, F&& f) {
  switch (size_of(dtype)) {
    case 1: return f(uint8_t{});
    case 2: return f(uint16_t{});
    case 4: return f(uint32_t{});
    case 8: return f(uint64_t{});
  }
}
template <class W>
W* words(const Tensor& t) { return static_cast<W*>(t.raw()); }

}  // namespace limbeck::cuda
