#include "apps/peak_memory.h"

#include <malloc.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "tensor/device.h"
#include "tensor/storage.h"

namespace limbeck {

PeakMemory::PeakMemory(Device device) : device_(device) {
  allocator(cpu).trim();
  if (device_ != cpu) {
    allocator(device_).trim();
    allocator(device_).reset_peak();
  }
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << 5;  // Linux: VmHWM becomes what it is now
}

int64_t PeakMemory::resident() const {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::atoll(line.c_str() + 6) * 1024;
  return 0;
}

int64_t PeakMemory::on_device() const {
  return device_ == cpu ? 0 : static_cast<int64_t>(allocator(device_).stats().peak_in_use);
}

}  // namespace limbeck
