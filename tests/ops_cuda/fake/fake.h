// Stand-ins for NVIDIA's libraries, for the SIMT shim: shared objects that export the functions which ops_cuda calls and do what the manuals
// say, slowly. Their work is queued like a kernel's, so that graphs record it and AddressSanitizer sees what it touches.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <vector>

#include "ops_cuda/sim/runtime.h"

#define FAKE_EXPORT extern "C" __attribute__((visibility("default")))

namespace fake {

/// What tests set and read; each library exports one as `fake_state`.
struct State {
  int creations = 0, calls = 0;  ///< handles; products or convolutions
  int math = -1;                 ///< of the last call
  double delay_ms = 0;           ///< every call takes so much longer
  bool fail = false;             ///< calls return an error
  bool fail_to_create = false;   ///< handles are refused
  bool offer_nothing = false;    ///< no algorithm that is deterministic
  size_t workspace = 0;          ///< bytes of the last call
};

/// The version to claim: LIMBECK_STAND_IN_VERSION in the environment, or the usual one.
inline int version(int usual) {
  const char* text = std::getenv("LIMBECK_STAND_IN_VERSION");
  return text ? std::atoi(text) : usual;
}

/// Busy for so long.
inline void wait(double milliseconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double, std::milli>(milliseconds);
  while (std::chrono::steady_clock::now() < end) {}
}

}  // namespace fake
