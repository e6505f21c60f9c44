// CUDA devices as tensors see them: found and set up at first use, one stream and one allocator
// each.
#pragma once
#include "ops_cuda/allocator.h"
#include "ops_cuda/block_counters.h"
#include "ops_cuda/runtime.h"

namespace limbeck::cuda {

/// Devices of this machine; 0 without a driver.
int device_count();
/// Throws Error when there is no such device, or when its architecture is older than what the
/// kernels were compiled for.
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

/// The record of a device, in host memory that kernels can write, and whose kernels write it. Made
/// on the host alone: a literal of a kernel lies in the device's memory, out of the host's reach.
struct FaultReport {
  FaultReport(Fault* record, const char* name) : fault(record), operation(name) {}
  Fault* fault;
  const char* operation;
};
/// Of the tensor's device. `operation` outlives every kernel, as literals and operators' names do.
FaultReport fault_of(const Tensor& t, const char* operation);

/// What a recording owns: the stream that it is captured from, the blocks handed out while it is
/// made, which every replay uses, and the counters of its kernels. The latter two are given back at
/// its end, whether the recording came about or failed.
class RecordingMemory {
 public:
  /// From now on what this thread queues and allocates on the device belongs to it; other threads
  /// go on as usual. Throws while this thread has another one open.
  explicit RecordingMemory(int device);
  ~RecordingMemory();
  RecordingMemory(const RecordingMemory&) = delete;
  void close();

  int device() const { return device_; }
  int pool() const { return pool_; }
  cudaStream_t stream() const { return stream_; }
  BlockCounters& counters() { return counters_; }

 private:
  const int device_;
  int pool_ = 0;
  cudaStream_t stream_ = nullptr;
  BlockCounters counters_;
};

/// Of this thread's open recording, or else of the device: the counters, and the pool that blocks
/// come from (0: everybody's).
BlockCounters& current_counters(int device);
int current_pool(int device);

}  // namespace limbeck::cuda
