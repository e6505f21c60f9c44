// The caching allocator of one CUDA device. All work of a device is queued on one stream, so a
// block that the host gives back may be handed out at once: whatever still uses it runs before
// whatever gets it next ("stream-ordered").
#pragma once
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "ops_cuda/runtime.h"
#include "tensor/storage.h"

namespace limbeck::cuda {

class CachingAllocator final : public Allocator {
 public:
  explicit CachingAllocator(int device) : device_(device) {}
  /// 256-byte aligned. When memory runs out the cache is given back first; then Error says what was
  /// asked, what is free, and which operators hold most.
  void* allocate(size_t bytes) override;
  void release(void* block, size_t bytes) noexcept override;
  AllocatorStats stats() const override;
  void reset_peak() override;
  void trim() override;

  /// A pool for a recording. Blocks that a thread gets while current_pool() (device.h) names it
  /// belong to it until drop_pool: a recorded graph writes to them at every replay, so nobody else
  /// may get them.
  int new_pool();
  void drop_pool(int pool);

 private:
  struct Block {
    size_t size = 0;
    int pool = 0;                 // 0: everybody's
    const char* label = nullptr;  // null: free
  };
  using FreeList = std::map<size_t, std::vector<void*>>;
  void* from_cache(size_t size);
  void* from_system(size_t size, size_t wanted);
  void trim_locked();
  std::string holders() const;

  const int device_;
  mutable std::mutex mutex_;
  std::unordered_map<void*, Block> blocks_;
  std::map<int, FreeList> free_;  // by pool
  int last_pool_ = 0;
  AllocatorStats stats_;
};

}  // namespace limbeck::cuda
