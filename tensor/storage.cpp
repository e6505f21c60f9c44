#include "tensor/storage.h"

#include <array>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sys/mman.h>

#include "tensor/device.h"
#include "tensor/error.h"

namespace limbeck {
namespace {

constexpr size_t alignment = 64;
constexpr size_t huge_page = size_t{2} << 20;

/// Size classes: eight steps between powers of two, so at most 12.5 % is lost and a block fits every request of its class.
size_t class_size(size_t bytes) {
  if (bytes <= 8 * alignment) return (bytes + alignment - 1) / alignment * alignment;
  const size_t step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

class CpuAllocator final : public Allocator {
 public:
  void* allocate(size_t bytes) override {
    const size_t size = class_size(bytes);
    std::lock_guard lock(mutex_);
    stats_.in_use += size;
    stats_.peak_in_use = std::max(stats_.peak_in_use, stats_.in_use);
    auto& list = free_[size];
    if (!list.empty()) {
      void* block = list.back();
      list.pop_back();
      return block;
    }
    return from_system(size, bytes);
  }

  void release(void* block, size_t bytes) noexcept override {
    const size_t size = class_size(bytes);
    std::lock_guard lock(mutex_);
    stats_.in_use -= size;
    free_[size].push_back(block);
  }

  AllocatorStats stats() const override {
    std::lock_guard lock(mutex_);
    return stats_;
  }

  void reset_peak() override {
    std::lock_guard lock(mutex_);
    stats_.peak_in_use = stats_.in_use;
  }

  void trim() override {
    std::lock_guard lock(mutex_);
    for (auto& [size, list] : free_) {
      for (void* block : list) std::free(block), stats_.reserved -= size;
      list.clear();
    }
  }

 private:
  void* from_system(size_t size, size_t wanted) {
    const size_t align = size >= huge_page ? huge_page : alignment;
    void* block = std::aligned_alloc(align, (size + align - 1) / align * align);
    if (!block) {
      stats_.in_use -= size;
      fail("out of memory: asked the system for ", wanted, " bytes; ", stats_.in_use, " in use, ", stats_.reserved, " reserved");
    }
    if (size >= huge_page) madvise(block, size, MADV_HUGEPAGE);  // fewer page faults and TLB misses; harmless where refused
    stats_.reserved += size;
    ++stats_.system_calls;
    return block;
  }

  mutable std::mutex mutex_;
  std::unordered_map<size_t, std::vector<void*>> free_;
  AllocatorStats stats_;
};

}  // namespace

Allocator& allocator(Device device) {
  // Never destroyed: tensors in static objects may outlive any order of destruction.
  static CpuAllocator* cpu_allocator = new CpuAllocator;
  if (device.kind == DeviceKind::cpu) return *cpu_allocator;
  return backend(device).allocator(device.index);
}

namespace {
std::array<DeviceBackend*, 2> backends{};
thread_local const char* allocation_label = "no operator";
}  // namespace

void register_backend(DeviceKind kind, DeviceBackend& backend) { backends[static_cast<size_t>(kind)] = &backend; }
bool has_backend(DeviceKind kind) { return backends[static_cast<size_t>(kind)] != nullptr; }

DeviceBackend& backend(Device device) {
  LIMBECK_CHECK(device.kind != DeviceKind::cpu, "the CPU has no device backend");
  LIMBECK_CHECK(has_backend(device.kind), "device ", device, ": this program was built without CUDA; build it with 'make CUDA=1' (build/cuda/limbeck), or with ",
                "'make CUDA=sim' (build/sim/limbeck) to run the kernels on a CPU");
  return *backends[static_cast<size_t>(device.kind)];
}

AllocationLabel::AllocationLabel(const char* label) : previous_(std::exchange(allocation_label, label)) {}
AllocationLabel::~AllocationLabel() { allocation_label = previous_; }
const char* AllocationLabel::current() { return allocation_label; }

Storage::Storage(size_t bytes, Device device) : bytes_(bytes), device_(device) {
  if (bytes_ > 0) data_ = allocator(device_).allocate(bytes_);
}

Storage::~Storage() {
  if (data_) allocator(device_).release(data_, bytes_);
}

}  // namespace limbeck
