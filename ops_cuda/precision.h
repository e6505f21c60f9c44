// In which format the tuned matrix products and convolutions multiply. Sums, biases and everything
// that is stored stay f32, and so does the answer's layout; depthwise convolutions, which are bound
// by memory, always multiply in f32.
//   f32    fused multiply-adds                                                unit roundoff 2^-24
//   tf32   tensor cores, operands rounded to 10 bits of fraction (ties away)  2^-11
//   bf16   tensor cores, operands rounded to 7 bits of fraction (ties even)   2^-8
// f32 unless a program asks for less: `f32` results are then f32. A recorded CUDA graph keeps the
// format that it was recorded with.
#pragma once
#include <atomic>

#include "tensor/device.h"

namespace limbeck::cuda {

using limbeck::Precision;

namespace precision_detail {
inline std::atomic<Precision> current{Precision::f32};
}

/// Of the whole process.
inline Precision product_precision() {
  return precision_detail::current.load(std::memory_order_relaxed);
}
inline void set_product_precision(Precision p) {
  precision_detail::current.store(p, std::memory_order_relaxed);
}

/// Half the distance from 1 to the next number: the largest relative error of one rounded operand.
inline constexpr double unit_roundoff(Precision p) {
  return p == Precision::f32 ? 0x1p-24 : p == Precision::tf32 ? 0x1p-11 : 0x1p-8;
}

}  // namespace limbeck::cuda
