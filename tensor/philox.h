// Philox-4x32-10: counter-based random bits (Salmon et al., "Parallel random numbers: as easy as 1,
// 2, 3", SC 2011). One definition for the CPU and the device, so that both draw the same bits.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "tensor/host_device.h"

namespace limbeck {

using PhiloxBlock = std::array<uint32_t, 4>;

/// One Philox-4x32-10 block for a 128-bit counter and a 64-bit key.
LIMBECK_HD inline PhiloxBlock philox(uint64_t key, uint64_t counter_low,
                                     uint64_t counter_high = 0) {
  uint32_t c0 = static_cast<uint32_t>(counter_low), c1 = static_cast<uint32_t>(counter_low >> 32);
  uint32_t c2 = static_cast<uint32_t>(counter_high), c3 = static_cast<uint32_t>(counter_high >> 32);
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c0, p1 = uint64_t{0xCD9E8D57} * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0,
                   n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {c0, c1, c2, c3};
}

/// Uniform in [0, 1) with 24 bits; the mapping used on every device.
LIMBECK_HD constexpr float uniform_from_bits(uint32_t bits) {
  return static_cast<float>(bits >> 8) * 0x1p-24f;
}
/// Uniform in [0, 1) with 53 bits from two words.
LIMBECK_HD constexpr double uniform53(uint32_t high, uint32_t low) {
  return static_cast<double>((static_cast<uint64_t>(high) << 21) ^ (low >> 11)) * 0x1p-53;
}

struct NormalPair {
  double first, second;
};
/// Two N(0, 1) numbers from one block (Box-Muller); the radius uses 1 - u so that log never sees
/// zero. log, cos and sin of a host and a device may differ in the last bits of a double, so the
/// numbers agree after rounding to f32 but for very rare ties.
LIMBECK_HD inline NormalPair normal_pair(const PhiloxBlock& b) {
  const double radius = std::sqrt(-2 * std::log(1 - uniform53(b[0], b[1])));
  const double angle = 2 * std::numbers::pi * uniform53(b[2], b[3]);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

/// Uniform integer in [0, range), range >= 1, without modulo bias: a function of (key, counter),
/// because a block that is rejected (the last, incomplete run of `range` numbers below 2^64) is
/// followed by others of the same counter with a high word of their own, which no stream draws
/// from.
LIMBECK_HD inline uint64_t integer_below(uint64_t key, uint64_t counter, uint64_t range) {
  const uint64_t limit = ~uint64_t{0} - ~uint64_t{0} % range;
  for (uint64_t attempt = 0;; ++attempt) {
    const PhiloxBlock b = philox(key, counter, attempt);
    const uint64_t x = static_cast<uint64_t>(b[0]) << 32 | b[1];
    if (x < limit) return x % range;
  }
}

}  // namespace limbeck
