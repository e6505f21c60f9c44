// What a kernel cannot throw: an index out of range found on the device is written down and thrown
// by the next synchronisation, where the host reads a result. The kernel goes on without touching
// the bad address, so the device stays usable.
#pragma once
#include "ops_cuda/device.h"
#include "ops_cuda/launch.h"

namespace limbeck::cuda {

/// True when 0 <= index < size; otherwise the first caller leaves a note.
__device__ inline bool in_range(Fault* fault, const char* operation, int64_t position,
                                int64_t index, int64_t size) {
  if (index >= 0 && index < size) return true;
  if (atomicCAS(&fault->set, 0, 1) == 0) {
    fault->operation = operation;
    fault->position = position;
    fault->index = index;
    fault->size = size;
    __threadfence_system();
  }
  return false;
}

}  // namespace limbeck::cuda
