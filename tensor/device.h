// What tensors need from a device other than the CPU. The backend of a kind registers itself before main(); a program that was built
// without it answers every use with a named error.
#pragma once
#include <string>

#include "tensor/dtype.h"
#include "tensor/storage.h"

namespace limbeck {

class DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;
  /// Devices of this machine; 0 when there are none.
  virtual int count() = 0;
  /// "NVIDIA H100 (sm_90, 79.6 GiB)" for reports. Throws when there is no such device, as all functions below do.
  virtual std::string describe(int index) = 0;
  virtual Allocator& allocator(int index) = 0;
  /// Between the host and this device, within it, or between two devices of this kind. Ordered after the work already queued; when it
  /// returns, host memory may be read or used again.
  virtual void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes) = 0;
  /// Sets `count` elements. Any type.
  virtual void fill(void* to, Device device, DType dtype, int64_t count, double value) = 0;
  /// Copies `count` elements into another type.
  virtual void convert(void* to, DType to_type, const void* from, DType from_type, int64_t count, Device device) = 0;
  /// Waits for all queued work. Throws what kernels reported meanwhile (an index out of range, a crash).
  virtual void synchronise(int index) = 0;
};

/// `backend` must live for ever.
void register_backend(DeviceKind kind, DeviceBackend& backend);
/// True when this program was built with the kind; says nothing about the machine.
bool has_backend(DeviceKind kind);
/// Throws, saying how to build it, when the kind is not part of this build.
DeviceBackend& backend(Device device);

}  // namespace limbeck
