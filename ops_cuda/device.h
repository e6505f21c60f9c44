// CUDA devices as tensors see them: found and set up at first use, one stream and one allocator each.
#pragma once
#include "ops_cuda/allocator.h"
#include "ops_cuda/runtime.h"

namespace limbeck::cuda {

/// Devices of this machine; 0 without a driver.
int device_count();
/// Throws Error when there is no such device, or when its architecture is older than what the kernels were compiled for.
const cudaDeviceProp& properties(int device);
CachingAllocator& caching_allocator(int device);
/// Waits for the device's stream; throws what kernels reported (ops_cuda/fault.h) or how they died.
void synchronise(int device);
/// Throws what kernels have reported up to now, without waiting.
void throw_fault(int device);

/// What kernels cannot throw (ops_cuda/fault.h).
struct Fault {
  int set;
  const char* operation;  ///< a host string: the device only passes it on
  int64_t position, index, size;
};

/// The record of the tensor's device; in host memory that kernels can write.
Fault* fault_of(const Tensor& t);

/// Counters for ops_cuda/last_block.h, zero between launches. Kernels of a device run one after the other on its stream, so all share them.
inline constexpr int64_t most_block_groups = int64_t{1} << 12;
unsigned* block_counters(const Tensor& t, int64_t groups);

}  // namespace limbeck::cuda
