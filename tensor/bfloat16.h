// bfloat16: the upper half of an f32 (8 exponent bits, 7 of the fraction). Storage only; arithmetic
// converts to float.
#pragma once
#include <bit>
#include <cstdint>

#include "tensor/host_device.h"

namespace limbeck {

struct bfloat16 {
  uint16_t bits;

  bfloat16() = default;  // trivial, so that it can live in shared memory
  /// Rounds to nearest, ties to even; NaN stays NaN.
  LIMBECK_HD constexpr explicit bfloat16(float x) : bits(rounded(std::bit_cast<uint32_t>(x))) {}
  LIMBECK_HD constexpr operator float() const {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }

 private:
  LIMBECK_HD static constexpr uint16_t rounded(uint32_t u) {
    if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(u >> 16 | 0x40);
    return static_cast<uint16_t>((u + 0x7fffu + (u >> 16 & 1)) >> 16);
  }
};
static_assert(sizeof(bfloat16) == 2);

}  // namespace limbeck
