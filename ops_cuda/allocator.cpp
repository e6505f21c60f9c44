#include "ops_cuda/allocator.h"

#include <algorithm>
#include <bit>
#include <iomanip>
#include <sstream>

#include "ops_cuda/device.h"

namespace limbeck::cuda {
namespace {

constexpr size_t alignment = 256;

/// Eight steps between powers of two, so at most 12.5 % is lost and a block fits every request of
/// its class.
size_t class_size(size_t bytes) {
  if (bytes <= 8 * alignment) return (bytes + alignment - 1) / alignment * alignment;
  const size_t step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

/// "1.5 GiB", in the largest unit that leaves at least one.
std::string size_text(size_t bytes) {
  static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB"};
  double amount = static_cast<double>(bytes);
  int unit = 0;
  for (; unit < 3 && amount >= 1024; ++unit) amount /= 1024;
  std::ostringstream out;
  out << std::fixed << std::setprecision(unit == 0 ? 0 : 1) << amount << ' ' << units[unit];
  return out.str();
}

}  // namespace

void* CachingAllocator::allocate(size_t bytes) {
  const size_t size = class_size(bytes);
  const std::lock_guard lock(mutex_);
  void* p = from_cache(size);
  if (!p) p = from_system(size, bytes);
  Block& block = blocks_[p];
  block.pool = current_pool(device_);
  block.label = AllocationLabel::current();
  stats_.in_use += size;
  stats_.peak_in_use = std::max(stats_.peak_in_use, stats_.in_use);
  // A replay runs with every size that the block has had.
  sim::expose(p, block.pool ? size : bytes);
  return p;
}

void CachingAllocator::release(void* p, size_t) noexcept {
  const std::lock_guard lock(mutex_);
  Block& block = blocks_.find(p)->second;
  block.label = nullptr;
  stats_.in_use -= block.size;
  free_[block.pool][block.size].push_back(p);
  if (block.pool == 0) sim::hide(p, block.size);
}

void* CachingAllocator::from_cache(size_t size) {
  for (const int pool : {current_pool(device_), 0}) {
    auto& list = free_[pool][size];
    if (list.empty()) continue;
    void* p = list.back();
    list.pop_back();
    return p;
  }
  return nullptr;
}

void* CachingAllocator::from_system(size_t size, size_t wanted) {
  void* p = nullptr;
  cuda_check(cudaSetDevice(device_));
  cudaError_t error = cudaMalloc(&p, size);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // forget it
    trim_locked();
    error = cudaMalloc(&p, size);
  }
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free = 0, total = 0;
    cuda_check(cudaMemGetInfo(&free, &total));
    fail("out of memory on cuda:", device_, ": asked for ", size_text(wanted), " (",
         AllocationLabel::current(), "); ", size_text(free), " of ", size_text(total),
         " are free, this program holds ", size_text(stats_.in_use), holders());
  }
  cuda_check(error);
  sim::hide(p, size);
  blocks_[p].size = size;
  stats_.reserved += size;
  ++stats_.system_calls;
  return p;
}

/// ": conv2d 120.0 MiB in 3 blocks, relu ..": the five largest.
std::string CachingAllocator::holders() const {
  struct Sum {
    size_t bytes = 0, blocks = 0;
  };
  std::map<std::string, Sum> by_label;
  for (const auto& [p, block] : blocks_)
    if (block.label) by_label[block.label].bytes += block.size, ++by_label[block.label].blocks;
  std::vector<std::pair<std::string, Sum>> rows(by_label.begin(), by_label.end());
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  if (rows.size() > 5) rows.resize(5);
  std::string text;
  for (const auto& [label, sum] : rows)
    text += cat(text.empty() ? "; allocated for: " : ", ", label, " ", size_text(sum.bytes), " in ",
                sum.blocks, sum.blocks == 1 ? " block" : " blocks");
  return text;
}

AllocatorStats CachingAllocator::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void CachingAllocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  stats_.peak_in_use = stats_.in_use;
}

void CachingAllocator::trim() {
  const std::lock_guard lock(mutex_);
  trim_locked();
}

void CachingAllocator::trim_locked() {
  for (auto& [size, list] : free_[0]) {
    for (void* p : list) {
      cudaFree(p);  // waits for the device, so nothing still uses it
      blocks_.erase(p);
      stats_.reserved -= size;
    }
    list.clear();
  }
}

int CachingAllocator::new_pool() {
  const std::lock_guard lock(mutex_);
  return ++last_pool_;
}

void CachingAllocator::drop_pool(int pool) {
  const std::lock_guard lock(mutex_);
  for (auto& [p, block] : blocks_)
    if (block.pool == pool) {
      block.pool = 0;
      if (!block.label) sim::hide(p, block.size);
    }
  for (auto& [size, list] : free_[pool]) {
    auto& everybodys = free_[0][size];
    everybodys.insert(everybodys.end(), list.begin(), list.end());
  }
  free_.erase(pool);
}

}  // namespace limbeck::cuda
