// The counters of ops_cuda/last_block.h. Launches on one stream run one after the other and share
// counters, which each leaves zero; what may run at the same time, another stream or the replay of
// a recording, has its own.
#pragma once
#include <map>
#include <mutex>

#include "ops_cuda/runtime.h"

namespace limbeck::cuda {

/// Groups of blocks that one launch can count.
inline constexpr int64_t most_block_groups = int64_t{1} << 12;

/// Counters for each stream of one device, or of one recording on it.
class BlockCounters {
 public:
  BlockCounters() = default;
  ~BlockCounters();  ///< waits for the device
  BlockCounters(const BlockCounters&) = delete;
  /// Zero when the next launch on `stream` of the current device begins. The first call for a
  /// stream queues the zeroing there: in a recording it is part of it.
  unsigned* of(cudaStream_t stream);

 private:
  std::mutex mutex_;
  std::map<cudaStream_t, unsigned*> by_stream_;
};

/// For a launch of up to `groups` groups of blocks on `stream`, of the device of `t`.
unsigned* block_counters(const Tensor& t, int64_t groups, cudaStream_t stream);

}  // namespace limbeck::cuda
