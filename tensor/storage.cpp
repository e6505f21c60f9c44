#include "tensor/storage.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tensor/allocation_limit.h"
#include "tensor/arena.h"
#include "tensor/device.h"
#include "tensor/error.h"
#include "tensor/sanitizers.h"

namespace limbeck {
namespace {

constexpr size_t alignment = 64;
// Blocks from this size come from the arena, where free neighbours join; smaller ones from free
// lists, one for each size class. The sanitizers are told which bytes are handed out.
constexpr size_t large = 64 << 10;

/// Size classes: eight steps between powers of two, so at most 12.5 % is lost and a block fits
/// every request of its class.
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
    void* block = nullptr;
    if (bytes >= large)
      block = arena_.allocate(bytes);
    else if (auto& list = free_[size]; !list.empty()) {
      block = list.back();
      list.pop_back();
    } else if ((block = std::aligned_alloc(alignment, size + sanitizers::gap))) {
      taken_ += size;
      ++calls_;
    }
    if (!block)
      fail("out of memory: asked the system for ", bytes, " bytes; ", in_use_, " in use, ",
           taken_ + arena_.taken(), " reserved");
    if (bytes < large) {
      sanitizers::forbid(block, size + sanitizers::gap);
      sanitizers::allow(block, bytes);
    }
    in_use_ += size;
    peak_ = std::max(peak_, in_use_);
    return block;
  }

  void release(void* block, size_t bytes) noexcept override {
    std::lock_guard lock(mutex_);
    const size_t size = class_size(bytes);
    in_use_ -= size;
    if (bytes >= large) return arena_.release(block);
    sanitizers::forbid(block, size);
    free_[size].push_back(block);
  }

  AllocatorStats stats() const override {
    std::lock_guard lock(mutex_);
    return {in_use_, peak_, taken_ + arena_.taken(), calls_ + arena_.system_calls()};
  }

  void reset_peak() override {
    std::lock_guard lock(mutex_);
    peak_ = in_use_;
  }

  void trim() override {
    std::lock_guard lock(mutex_);
    arena_.trim();
    for (auto& [size, list] : free_) {
      for (void* block : list) {
        sanitizers::allow(block, size + sanitizers::gap);
        std::free(block);
        taken_ -= size;
      }
      list.clear();
    }
  }

 private:
  mutable std::mutex mutex_;
  Arena arena_;
  std::unordered_map<size_t, std::vector<void*>> free_;
  size_t in_use_ = 0, peak_ = 0, taken_ = 0, calls_ = 0;  // taken_, calls_: without the arena's
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

void register_backend(DeviceKind kind, DeviceBackend& backend) {
  backends[static_cast<size_t>(kind)] = &backend;
}
bool has_backend(DeviceKind kind) { return backends[static_cast<size_t>(kind)] != nullptr; }

DeviceBackend& backend(Device device) {
  LIMBECK_CHECK(device.kind != DeviceKind::cpu, "the CPU has no device backend");
  LIMBECK_CHECK(has_backend(device.kind), "device ", device,
                ": this program was built without CUDA; build it with 'make CUDA=1' "
                "(build/cuda/limbeck), or with ",
                "'make CUDA=sim' (build/sim/limbeck) to run the kernels on a CPU");
  return *backends[static_cast<size_t>(device.kind)];
}

AllocationLabel::AllocationLabel(const char* label)
    : previous_(std::exchange(allocation_label, label)) {}
AllocationLabel::~AllocationLabel() { allocation_label = previous_; }
const char* AllocationLabel::current() { return allocation_label; }

Storage::Storage(size_t bytes, Device device) : bytes_(bytes), device_(device) {
  AllocationLimit::charge(bytes);
  if (bytes_ > 0) data_ = allocator(device_).allocate(bytes_);
}

Storage::~Storage() {
  if (data_) allocator(device_).release(data_, bytes_);
}

}  // namespace limbeck
