#include "ops_cuda/pinned.h"

#include <algorithm>
#include <array>
#include <bit>
#include <memory>

namespace limbeck::cuda {

PinnedBlock PinnedPool::take(size_t bytes) {
  const size_t size = std::bit_ceil(std::max(bytes, size_t{4096}));
  const std::lock_guard lock(mutex_);
  auto& list = free_[size];
  if (!list.empty() && cudaEventQuery(list.front().done) == cudaSuccess) {
    const PinnedBlock block = list.front();
    list.pop_front();
    return block;
  }
  stream(device_);  // makes the device this thread's
  PinnedBlock block{nullptr, size, nullptr};
  void* p = nullptr;
  cuda_check(cudaHostAlloc(&p, size, cudaHostAllocDefault));
  block.data = static_cast<char*>(p);
  cuda_check(cudaEventCreateWithFlags(&block.done, cudaEventDisableTiming));
  ++blocks_;
  return block;
}

void PinnedPool::give_back(const PinnedBlock& block) noexcept {
  const std::lock_guard lock(mutex_);
  free_[block.size].push_back(block);
}

size_t PinnedPool::blocks() const {
  const std::lock_guard lock(mutex_);
  return blocks_;
}

PinnedPool& pinned_pool(int device) {
  constexpr int max_devices = 64;
  static auto* pools =
      new std::array<std::unique_ptr<PinnedPool>, max_devices>;  // never destroyed, as the devices
  static std::mutex mutex;
  LIMBECK_CHECK(device >= 0 && device < max_devices, "device cuda:", device, " does not exist");
  const std::lock_guard lock(mutex);
  auto& pool = (*pools)[static_cast<size_t>(device)];
  if (!pool) pool = std::make_unique<PinnedPool>(device);
  return *pool;
}

}  // namespace limbeck::cuda
