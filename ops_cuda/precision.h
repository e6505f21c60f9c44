// In which format the tuned matrix products and convolutions multiply. Sums, biases and everything
// that is stored stay f32, and so does the answer's layout; depthwise convolutions, which are bound
// by memory, always multiply in f32.
//   f32    fused multiply-adds                                                unit roundoff 2^-24
//   tf32   tensor cores, operands rounded to 10 bits of fraction (ties away)  2^-11
//   bf16   tensor cores, operands rounded to 7 bits of fraction (ties even)   2^-8
// f32 unless Execution::products asks for less. A recorded CUDA graph keeps the format that it was
// recorded with.
#pragma once
#include "ops/execution.h"

namespace limbeck::cuda {

using limbeck::Precision;

/// Half the distance from 1 to the next number: the largest relative error of one rounded operand.
inline constexpr double unit_roundoff(Precision p) {
  return p == Precision::f32 ? 0x1p-24 : p == Precision::tf32 ? 0x1p-11 : 0x1p-8;
}

}  // namespace limbeck::cuda
