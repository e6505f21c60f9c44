// The most memory that this process needed since a moment.
#pragma once
#include <cstdint>

#include "tensor/tensor.h"

namespace limbeck {

class PeakMemory {
 public:
  /// From here on; what allocators only keep in store is given back before. On a kernel that does
  /// not let the peak be reset, resident() is that of the whole life of the process.
  explicit PeakMemory(Device device);
  int64_t resident() const;   ///< bytes of this process in the machine's memory
  int64_t on_device() const;  ///< bytes that the device's allocator handed out; 0 on the CPU

 private:
  const Device device_;
};

}  // namespace limbeck
