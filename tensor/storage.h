// Storage: a block of device memory from the caching allocator, with the version counter that
// autograd watches.
#pragma once
#include <atomic>
#include <cstddef>
#include <memory>

#include "tensor/dtype.h"

namespace limbeck {

struct AllocatorStats {
  size_t in_use = 0;        ///< bytes handed out now, rounded up to size classes
  size_t peak_in_use = 0;   ///< highest value of in_use since the last reset_peak()
  size_t reserved = 0;      ///< bytes taken from the system
  size_t system_calls = 0;  ///< allocations that had to ask the system; constant in steady state
};

/// Caching allocator of one device: freed blocks are kept and handed out again. Thread-safe.
class Allocator {
 public:
  virtual ~Allocator() = default;
  /// 64-byte aligned on the CPU. Contents are undefined. Throws Error naming the size when memory
  /// is exhausted.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* block, size_t bytes) noexcept = 0;
  virtual AllocatorStats stats() const = 0;
  virtual void reset_peak() = 0;
  /// Returns all cached blocks to the system.
  virtual void trim() = 0;
};

/// The allocator of a device; throws when the device is not part of this build or of this machine.
Allocator& allocator(Device device);

/// Names what blocks are allocated for in this thread while alive ("conv2d"): out-of-memory errors
/// list the largest holders.
class AllocationLabel {
 public:
  /// `label` must outlive every block allocated under it.
  explicit AllocationLabel(const char* label);
  ~AllocationLabel();
  AllocationLabel(const AllocationLabel&) = delete;
  static const char* current();

 private:
  const char* previous_;
};

class Storage {
 public:
  Storage(size_t bytes, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  /// Number of in-place changes announced through Tensor::bump_version().
  uint64_t version() const { return version_; }
  void bump_version() { ++version_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
  Device device_;
  uint64_t version_ = 0;
};

}  // namespace limbeck
