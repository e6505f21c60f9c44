// What a kernel cannot throw: an index out of range, or an integer divided by 0, found on the
// device is written down and thrown by the next synchronisation, where the host reads a result. The
// kernel goes on without touching the bad address, so the device stays usable.
#pragma once
#include "ops_cuda/device.h"
#include "ops_cuda/launch.h"

namespace limbeck::cuda {

/// The first caller leaves a note.
__device__ inline void note(const FaultReport& report, int64_t position, int64_t index,
                            int64_t size) {
  Fault& fault = *report.fault;
  if (atomicCAS(&fault.set, 0, 1) != 0) return;
  fault.operation = report.operation;
  fault.position = position;
  fault.index = index;
  fault.size = size;
  __threadfence_system();
}

/// True when 0 <= index < size; otherwise leaves a note.
__device__ inline bool in_range(const FaultReport& report, int64_t position, int64_t index,
                                int64_t size) {
  if (index >= 0 && index < size) return true;
  note(report, position, index, size);
  return false;
}

/// True for a divisor that integers can have; otherwise leaves a note.
__device__ inline bool divides(const FaultReport& report, int64_t position, int64_t divisor) {
  if (divisor != 0) return true;
  note(report, position, 0, -1);  // no size: nothing was indexed
  return false;
}

}  // namespace limbeck::cuda
