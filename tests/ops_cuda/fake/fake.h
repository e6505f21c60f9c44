// Stand-ins for NVIDIA's libraries, for the SIMT shim: shared objects that export the functions
// which ops_cuda calls and do what the manuals say, slowly. Their work is queued like a kernel's,
// so that graphs record it and AddressSanitizer sees what it touches.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <vector>

#include "ops_cuda/sim/runtime.h"
#include "tensor/bfloat16.h"

#define FAKE_EXPORT extern "C" __attribute__((visibility("default")))

namespace fake {

/// What tests set and read; each library exports one as `fake_state`.
struct State {
  int creations = 0, calls = 0;  ///< handles; products or convolutions
  int math = -1;                 ///< of the last call
  bool in_bf16 = false;          ///< whether the operands of the last call were
  double delay_ms = 0;           ///< every call takes so much longer
  bool fail = false;             ///< calls return an error
  bool fail_to_create = false;   ///< handles are refused
  bool offer_nothing = false;    ///< no algorithm that is deterministic
  size_t workspace = 0;          ///< bytes of the last call
  int unsupported_window =
      0;  ///< convolutions with windows of this height are not supported; 0: all are
  int failing_window = 0;  ///< those with windows of this height return an error
};

/// A number from the environment (LIMBECK_STAND_IN_VERSION: the version to claim), or the usual
/// one.
inline int number(const char* variable, int usual) {
  const char* text = std::getenv(variable);
  return text ? std::atoi(text) : usual;
}

/// Numbers in memory that are f32 or bf16.
struct Numbers {
  void* data;
  bool in_bf16;
  Numbers(const void* p, bool bf16) : data(const_cast<void*>(p)), in_bf16(bf16) {}
  double operator[](int64_t i) const {
    return in_bf16 ? double(float(static_cast<const limbeck::bfloat16*>(data)[i]))
                   : double(static_cast<const float*>(data)[i]);
  }
  void set(int64_t i, double value) const {
    const auto rounded = static_cast<float>(value);
    if (in_bf16)
      static_cast<limbeck::bfloat16*>(data)[i] = limbeck::bfloat16(rounded);
    else
      static_cast<float*>(data)[i] = rounded;
  }
};

/// Busy for so long.
inline void wait(double milliseconds) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double, std::milli>(milliseconds);
  while (std::chrono::steady_clock::now() < end) {}
}

}  // namespace fake
