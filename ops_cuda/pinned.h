// Page-locked host memory, from which a GPU copies by itself while the host goes on. Locking pages
// takes a system call, so blocks are kept; one is handed out again only when the copy that used it
// has been done.
#pragma once
#include <deque>
#include <map>
#include <mutex>

#include "ops_cuda/runtime.h"

namespace limbeck::cuda {

struct PinnedBlock {
  char* data = nullptr;
  size_t size = 0;
  cudaEvent_t done = nullptr;  ///< recorded behind the last copy from or to the block
};

/// Of one device; thread-safe. Never gives memory back: a loop in steady state needs the same few
/// blocks.
class PinnedPool {
 public:
  explicit PinnedPool(int device) : device_(device) {}
  PinnedBlock take(size_t bytes);
  /// At once, even if the copy is still queued; its event must have been recorded, or the block
  /// never used.
  void give_back(const PinnedBlock& block) noexcept;
  size_t blocks() const;  ///< how many there are, for tests

 private:
  const int device_;
  mutable std::mutex mutex_;
  std::map<size_t, std::deque<PinnedBlock>> free_;  // by size, the oldest use first
  size_t blocks_ = 0;
};

PinnedPool& pinned_pool(int device);

}  // namespace limbeck::cuda
